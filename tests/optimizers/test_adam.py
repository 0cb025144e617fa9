"""Adam and AMSGrad: the rule against the formula, the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers

B1, B2, EPS, LR, T = 0.9, 0.999, 1e-7, 0.01, 7


def test_adam(state, single, near):
    g, m, v = state
    tg, tm, tv, top = single(g, m, v, 1.2 * np.ones_like(v))
    m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
    rate = LR * np.sqrt(1 - B2**T) / (1 - B1**T)
    options = {"rate": np.float32(rate), "beta_1": B1, "beta_2": B2, "epsilon": EPS}
    near(optimizers.adam_step(tg, tm, tv, **options)[:3], rate * m / (np.sqrt(v) + EPS), m, v)
    largest = np.maximum(1.2, v)
    near(
        optimizers.adam_step(tg, tm, tv, v_max=top, **options),
        rate * m / (np.sqrt(largest) + EPS),
        m,
        v,
        largest,
    )
    powers = single(B1**T, B2**T)
    np.testing.assert_allclose(optimizers.adam_rate(LR, *powers), rate, rtol=1e-5)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_the_papers_epsilon(amsgrad, equals_numpy):
    """Algorithm 1 of Adam, epsilon beside the corrected root; AMSGrad's largest v likewise."""

    def rule(t, w, g, s):
        s["m"] = B1 * s.get("m", 0) + (1 - B1) * g
        s["v"] = B2 * s.get("v", 0) + (1 - B2) * g**2
        s["top"] = np.maximum(s.get("top", 0), s["v"]) if amsgrad else s["v"]
        return w - LR * s["m"] / (1 - B1**t) / (np.sqrt(s["top"] / (1 - B2**t)) + 0.1)

    make = lambda: optimizers.Adam(LR, epsilon=0.1, amsgrad=amsgrad, paper=True)  # noqa: E731
    equals_numpy(make, rule, 1e-5)


def test_the_papers_adamw(equals_numpy):
    """Algorithm 2 of AdamW, whose decay is the weight decay here times the learning rate."""

    def rule(t, w, g, s):
        s["m"] = B1 * s.get("m", 0) + (1 - B1) * g
        s["v"] = B2 * s.get("v", 0) + (1 - B2) * g**2
        step = s["m"] / (1 - B1**t) / (np.sqrt(s["v"] / (1 - B2**t)) + 0.1)
        return w - (LR * step + 0.002 * w)

    make = lambda: optimizers.AdamW(LR, 0.002 / LR, epsilon=0.1, paper=True)  # noqa: E731
    equals_numpy(make, rule, 1e-5, modes=(True,))
