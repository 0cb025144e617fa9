"""Lookahead against the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.mark.parametrize("jit", [False, True])
def test_lookahead(jit, rng):
    weight = tf.Variable([9.0, 9.0])
    optimizer = optimizers.Lookahead(optimizers.SGD(0.1, 0.5), 3, 0.4)
    optimizer.build([weight])
    weight.assign([1.0, 2.0])  # loaded after the slots were made
    step = tf.function(lambda g: optimizer.apply([g], [weight]), jit_compile=jit)
    fast = slow = np.array([1.0, 2.0])
    velocity = 0.0
    for t, g in enumerate(rng.normal(size=(8, 2)), 1):
        step(tf.constant(g, tf.float32))
        velocity = 0.5 * velocity - 0.1 * g
        fast = fast + velocity
        if t % 3 == 0:
            fast = slow = slow + 0.4 * (fast - slow)
        np.testing.assert_allclose(weight, fast, rtol=1e-5)
        np.testing.assert_allclose(optimizer.evaluation_values()[0], slow, rtol=1e-5)
    with optimizer.evaluating():
        np.testing.assert_allclose(weight, slow, rtol=1e-5)
    np.testing.assert_allclose(weight, fast, rtol=1e-5)


def test_misuse():
    with pytest.raises(ValueError, match="sync_period=0 must be"):
        optimizers.Lookahead(optimizers.SGD(), 0)
