"""Adagrad: the rule against the formula, the paper's epsilon in NumPy."""

from __future__ import annotations

import numpy as np

import optimizers

EPS, LR = 1e-7, 0.01


def test_adagrad(state, single, near):
    g, _, _ = state
    tg, _, tv = single(*state)
    total = state[2] + g**2
    near(
        optimizers.adagrad_step(tg, tv, learning_rate=LR, epsilon=0.1),
        LR * g / np.sqrt(total + 0.1),
        total,
    )


def test_the_papers_epsilon(equals_numpy):
    def rule(t, w, g, s):
        s["a"] = s.get("a", 0.0) + g**2
        return w - 0.1 * g / (np.sqrt(s["a"]) + 0.01)

    make = lambda: optimizers.Adagrad(0.1, 0.0, 0.01, paper=True)  # noqa: E731
    equals_numpy(make, rule, modes=(False,))
