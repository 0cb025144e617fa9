"""Nadam: the rule against the formula, both schedules of its momentum in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers

B1, B2, EPS, LR, T = 0.9, 0.999, 1e-7, 0.01, 7


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


@pytest.mark.parametrize("paper", [False, True])
def test_the_momentum_of_each_step(paper, equals_numpy):
    """Algorithm 2; in the paper the momentum rises 250 times as slowly as in Keras."""
    slow = 250 if paper else 1

    def mu(t):
        return B1 * (1 - 0.5 * 0.96 ** (t / slow))

    def rule(t, w, g, s):
        s["m"] = B1 * s.get("m", 0) + (1 - B1) * g
        s["v"] = 0.99 * s.get("v", 0) + 0.01 * g**2
        s["u"] = s.get("u", 1) * mu(t)
        m = mu(t + 1) * s["m"] / (1 - s["u"] * mu(t + 1)) + (1 - mu(t)) * g / (1 - s["u"])
        return w - LR * m / (np.sqrt(s["v"] / (1 - 0.99**t)) + EPS)

    equals_numpy(lambda: optimizers.Nadam(LR, B1, 0.99, paper=paper), rule, modes=(paper,))
