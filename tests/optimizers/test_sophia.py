"""Sophia against the paper's algorithm in NumPy, and Hutchinson's estimate against the Hessian."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.mark.parametrize("jit", [False, True])
def test_sophia(jit, rng):
    weight = tf.Variable(rng.normal(size=6), dtype=tf.float32)
    optimizer = optimizers.Sophia(0.1, gamma=0.5, weight_decay=0.1)
    optimizer.build([weight])
    grads, curvatures = np.float32(rng.normal(size=(2, 20, 6)))
    w, m, h = np.float64(weight), 0.0, 0.0

    @tf.function(jit_compile=jit)
    def step(g, c, due):
        def measure():
            optimizer.update_hessian([c], [weight])
            return 0

        tf.cond(due, measure, lambda: 0)
        optimizer.apply([g], [weight])

    for t, (g, c) in enumerate(zip(grads, curvatures, strict=True)):
        due = t % 3 == 0
        step(tf.constant(g), tf.constant(c), tf.constant(due))
        h = 0.99 * h + 0.01 * np.float64(c) if due else h
        m = 0.965 * m + 0.035 * np.float64(g)
        w = w * (1 - 0.01) - 0.1 * np.clip(m / np.maximum(0.5 * h, 1e-12), -1, 1)
    np.testing.assert_allclose(weight, w, rtol=1e-5)


def test_hutchinson_is_unbiased(rng):
    a = rng.normal(size=(4, 4))
    hessian = a @ a.T
    x = tf.Variable(rng.normal(size=4), dtype=tf.float32)
    unused = tf.Variable(1.0)
    quadratic = tf.constant(hessian, tf.float32)

    def loss():
        return 0.5 * tf.tensordot(x, tf.linalg.matvec(quadratic, x), 1)

    @tf.function
    def mean():
        total = tf.zeros([4])
        for i in tf.range(2000):
            total += optimizers.hutchinson(loss, [x, unused], tf.stack([7, i]))[0]
        return total / 2000.0

    np.testing.assert_allclose(mean(), np.diag(hessian), atol=0.15 * np.abs(hessian).max())
    assert float(optimizers.hutchinson(loss, [x, unused], [0, 0])[1]) == 0.0


def test_misuse():
    with pytest.raises(ValueError, match="gamma=0 must be positive"):
        optimizers.Sophia(gamma=0)
    optimizer, weight = optimizers.Sophia(), tf.Variable([1.0])
    with pytest.raises(ValueError, match="is not built"):
        optimizer.update_hessian([tf.ones([1])], [weight])


def test_without_an_estimate_it_warns_once():
    optimizer, weight = optimizers.Sophia(0.1), tf.Variable([1.0, 1.0])
    with pytest.warns(UserWarning, match="without an estimate of the Hessian: every weight moves"):
        optimizer.apply([tf.constant([0.1, -9.0])], [weight])
    np.testing.assert_allclose(weight, [0.9, 1.1], rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.apply([tf.constant([0.1, -9.0])], [weight])
        told = optimizers.Sophia()
        told.build([weight])
        told.update_hessian([tf.ones([2])], [weight])
        told.apply([tf.ones([2])], [weight])
