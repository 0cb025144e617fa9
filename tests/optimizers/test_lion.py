"""Lion: the rule against the paper's algorithm."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import optimizers


def test_lion(state, single, near):
    g, m, _ = state
    near(
        optimizers.lion_step(*single(g, m), 0.9, 0.99),
        np.sign(0.9 * m + 0.1 * g),
        0.99 * m + 0.01 * g,
    )
    # Nothing pulls, nothing moves: the sign of 0 is 0.
    assert not np.any(optimizers.lion_step(tf.zeros(3), tf.zeros(3), 0.9, 0.99)[0])
