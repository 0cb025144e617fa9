"""Adadelta: the rule against the formula."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import optimizers

EPS = 1e-7


def test_adadelta(state, single, near):
    g, m, _ = state
    tg, tm, tv = single(*state)
    deltas = np.abs(m)
    squares = 0.95 * state[2] + 0.05 * g**2
    delta = -np.sqrt(deltas + EPS) / np.sqrt(squares + EPS) * g
    near(
        optimizers.adadelta_step(tg, tv, tf.abs(tm), rho=0.95, epsilon=EPS),
        delta,
        squares,
        0.95 * deltas + 0.05 * delta**2,
    )
