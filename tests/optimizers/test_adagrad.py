"""Adagrad and Adadelta against Keras, and the rules against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers

EPS, LR = 1e-7, 0.01


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Adagrad", {"learning_rate": 0.1}),
        ("Adadelta", {"learning_rate": 1.0}),
    ],
)
def test_equals_keras(name, config, equals_keras):
    equals_keras(name, config)


def test_adagrad_and_adadelta(state, single, near):
    g, m, _ = state
    tg, tm, tv = single(*state)
    total = state[2] + g**2
    near(
        optimizers.adagrad_step(tg, tv, learning_rate=LR, epsilon=EPS),
        LR * g / np.sqrt(total + EPS),
        total,
    )
    deltas = np.abs(m)
    squares = 0.95 * state[2] + 0.05 * g**2
    delta = -np.sqrt(deltas + EPS) / np.sqrt(squares + EPS) * g
    near(
        optimizers.adadelta_step(tg, tv, tf.abs(tm), rho=0.95, epsilon=EPS),
        delta,
        squares,
        0.95 * deltas + 0.05 * delta**2,
    )
