"""Adamax: the rule against the formula."""

from __future__ import annotations

import numpy as np

import optimizers

B1, B2, EPS, LR, T = 0.9, 0.999, 1e-7, 0.01, 7


def test_adamax(state, single, near):
    g, m, v = state
    tg, tm, tv = single(g, m, v)
    new_m, u = B1 * m + (1 - B1) * g, np.maximum(B2 * v, abs(g))
    options = {"learning_rate": LR, "beta_1": B1, "beta_2": B2, "epsilon": EPS}
    near(
        optimizers.adamax_step(tg, tm, tv, beta_1_power=np.float32(B1**T), **options),
        LR * new_m / ((1 - B1**T) * (u + EPS)),
        new_m,
        u,
    )
