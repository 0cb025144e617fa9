"""Gradient descent against Keras, and its rule against the formula."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9, "weight_decay": 0.01, "global_clipnorm": 2.0}),
        ("SGD", {"momentum": 0.9, "nesterov": True, "clipvalue": 0.5}),
    ],
)
def test_equals_keras(name, config, equals_keras):
    equals_keras(name, config)


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
