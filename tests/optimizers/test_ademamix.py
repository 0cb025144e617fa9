"""AdEMAMix against the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers


@pytest.mark.parametrize("warmup", [0, 20])
def test_ademamix(warmup, equals_numpy):
    b1, b2, b3 = 0.9, 0.99, 0.995

    def rule(t, w, g, s):
        alpha, b3_t = 5.0, b3
        if warmup:
            part = min(t / warmup, 1.0)
            alpha *= part
            low, high = np.log(b1), np.log(b3)
            b3_t = min(np.exp(low * high / ((1 - part) * high + part * low)), b3)
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["n"] = b3_t * s.get("n", 0) + (1 - b3_t) * g
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
        root = np.sqrt(s["v"] / (1 - b2**t)) + 1e-7
        return w - 0.01 * (s["m"] / (1 - b1**t) + alpha * s["n"]) / root

    equals_numpy(
        lambda: optimizers.AdEMAMix(0.01, b1, b2, beta_3=b3, warmup_steps=warmup), rule, 1e-5
    )


def test_the_half_life_of_the_slow_mean_rises_linearly():
    import tensorflow as tf

    optimizer = optimizers.AdEMAMix(beta_3=0.9999, warmup_steps=1000)
    decays = [float(optimizer.scalars(tf.constant(t))["beta_3"]) for t in (1.0, 500.0, 1000.0)]
    lives = np.log(0.5) / np.log(decays)
    np.testing.assert_allclose(lives[1] / lives[2], 0.5, rtol=2e-2)
    np.testing.assert_allclose(decays[2], 0.9999, rtol=1e-6)
    with pytest.raises(ValueError, match="needs 0 < beta_1=0 < beta_3"):
        optimizers.AdEMAMix(beta_1=0, warmup_steps=3)
