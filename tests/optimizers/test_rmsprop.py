"""RMSprop: the rule against the formula."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import optimizers

EPS, LR = 1e-7, 0.01


def test_rmsprop(state, single, near):
    g, m, v = state
    tg, tm, tv = single(g, m, v)
    v = 0.9 * v + 0.1 * g**2
    change, new_v, _ = optimizers.rmsprop_step(tg, tv, learning_rate=LR, rho=0.9, epsilon=EPS)
    near((change, new_v), LR * g / np.sqrt(v + EPS), v)
    mean = 0.9 * m * 0.1 + 0.1 * g
    near(
        optimizers.rmsprop_step(
            tg, tv, learning_rate=LR, rho=0.9, epsilon=EPS, mean=tf.constant(0.1) * tm
        ),
        LR * g / np.sqrt(v - mean**2 + EPS),
        v,
        mean,
    )
