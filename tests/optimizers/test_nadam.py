"""Nadam against Keras, and the rule against the formula."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers

B1, B2, EPS, LR, T = 0.9, 0.999, 1e-7, 0.01, 7


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Nadam", {"learning_rate": 0.01}),
    ],
)
def test_equals_keras(name, config, equals_keras):
    equals_keras(name, config)


def test_nadam(state, single, near):
    g, m, v = state
    tg, tm, tv = single(g, m, v)
    mu, after, product = 0.8, 0.85, 0.3
    names = ("mu_t", "mu_next", "u_product", "beta_2_power")
    scalars = dict(zip(names, single(mu, after, product, B2**T), strict=True))
    options = {"learning_rate": LR, "beta_1": B1, "beta_2": B2, "epsilon": EPS}
    new_m, new_v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
    hat = after * new_m / (1 - product * after) + (1 - mu) * g / (1 - product)
    root = np.sqrt(new_v / (1 - B2**T))
    change, *moments = optimizers.nadam_step(tg, tm, tv, scalars, **options)
    near(moments, new_m, new_v)
    np.testing.assert_allclose(change, LR * hat / (root + EPS), rtol=2e-5)  # 1 - b2^t cancels
