"""Gradient descent: its rule against the formula, rows without a gradient."""

from __future__ import annotations

import numpy as np

import optimizers


def test_momentum(state, single, near):
    g, m, _ = state
    tg, tm = single(g, m)
    v = 0.8 * m - 0.01 * g
    near(optimizers.momentum_step(tg, tm, learning_rate=0.01, momentum=0.8), v, v)
    near(
        optimizers.momentum_step(tg, tm, learning_rate=0.01, momentum=0.8, nesterov=True),
        0.8 * v - 0.01 * g,
        v,
    )


def test_rows_without_a_gradient_stay(train, problem):
    for optimizer in (optimizers.SGD(0.1), optimizers.Adam(0.1), optimizers.SGD(0.1, 0.9)):
        after = train(optimizer, steps=5)["table"]
        np.testing.assert_array_equal(after[5], problem["weights"]["table"][5])
        assert (after[:5] != problem["weights"]["table"][:5]).any()
