"""SOAP against the paper's algorithm in NumPy, and as Adam where nothing is rotated."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


def basis(x):
    return np.linalg.eigh(x)[1][:, ::-1]


def qr(x):
    return np.linalg.qr(x)[0]


@pytest.mark.parametrize("every", [1, 4])
def test_soap(every, equals_numpy):
    """Signs of eigenvectors are free; nothing depends on them."""
    b = 0.95

    def rule(t, w, g, s):
        two = w.ndim == 2
        if t == 1:
            s.update(m=0.0, v=0.0)
            if two:
                s.update(l=0.05 * g @ g.T, r=0.05 * g.T @ g)
                s.update(ql=basis(s["l"]), qr=basis(s["r"]))
            return w
        ql, q = (s["ql"], s["qr"]) if two else (None, None)
        turn = (lambda x: ql.T @ x @ q) if two else (lambda x: x)
        back = (lambda x: ql @ x @ q.T) if two else (lambda x: x)
        s["m"] = b * s["m"] + (1 - b) * g
        s["v"] = b * s["v"] + (1 - b) * turn(g) ** 2
        rate = 0.01 * np.sqrt(1 - b ** (t - 1)) / (1 - b ** (t - 1))
        w = w - rate * back(turn(s["m"]) / (np.sqrt(s["v"]) + 1e-8))
        if two:
            s["l"], s["r"] = b * s["l"] + 0.05 * g @ g.T, b * s["r"] + 0.05 * g.T @ g
            if (t - 1) % every == 0:
                s["ql"], s["qr"] = qr(s["l"] @ ql), qr(s["r"] @ q)
        return w

    # 7 rows of rank 3 have eigenvectors that only rounding tells apart: those are where
    # float32 and float64 differ.
    equals_numpy(lambda: optimizers.SOAP(0.01, precondition_frequency=every), rule, 2e-2, steps=12)


def test_a_square_of_full_rank_is_exact(rng):
    grads = rng.normal(size=(10, 4, 4)) + 2 * np.eye(4)
    weight = tf.Variable(tf.zeros([4, 4]))
    optimizer = optimizers.SOAP(0.01, precondition_frequency=2)
    single = tf.Variable(tf.zeros([4, 4], tf.float64))
    double = optimizers.SOAP(0.01, precondition_frequency=2)
    for g in grads:
        optimizer.apply([tf.constant(g, tf.float32)], [weight])
        double.apply([tf.constant(g)], [single])
    np.testing.assert_allclose(weight, single, atol=2e-5)


def test_a_basis_is_orthogonal_and_nothing_is_rotated_above_the_largest(rng):
    weight = tf.Variable(np.float32(rng.normal(size=(6, 4))))
    optimizer = optimizers.SOAP(largest=5)
    for _ in range(12):
        optimizer.apply([tf.constant(rng.normal(size=(6, 4)), tf.float32)], [weight])
    assert set(optimizer.slots) == {"momentum", "velocity", "right", "right_basis"}
    q = optimizer.slot("right_basis", weight)
    np.testing.assert_allclose(tf.matmul(q, q, transpose_a=True), np.eye(4), atol=1e-5)
