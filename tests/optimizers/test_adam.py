"""Adam, AMSGrad and AdamW against Keras, and the rule against the formula."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers

B1, B2, EPS, LR, T = 0.9, 0.999, 1e-7, 0.01, 7


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Adam", {}),
        ("Adam", {"amsgrad": True, "clipnorm": 0.5}),
        ("Adam", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7}),
        ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    ],
)
def test_equals_keras(name, config, equals_keras):
    equals_keras(name, config)


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
