"""SOAP against the paper's algorithm in NumPy, and what is not rotated."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


def basis(x):
    return np.linalg.eigh(x)[1][:, ::-1]


def qr(x):
    return np.linalg.qr(x)[0]


@pytest.mark.parametrize(("every", "jit"), [(1, False), (4, True)])
def test_soap(every, jit, rng):
    """A matrix, a kernel of convolutions and a vector, in float64, 12 updates.

    Gradients make statistics of full rank from the first on: eigenvectors are then free in their
    signs only, on which nothing depends.
    """
    b, shapes = 0.95, ((4, 4), (2, 2, 4), (3,))
    grads = [rng.normal(size=(12, *shape)) for shape in shapes]
    starts = [rng.normal(size=shape) for shape in shapes]
    weights = [tf.Variable(w) for w in starts]
    optimizer = optimizers.SOAP(0.01, precondition_frequency=every)
    optimizer.build(weights)
    step = tf.function(lambda *g: optimizer.apply(g, weights), jit_compile=jit, autograph=False)
    for turn in zip(*grads, strict=True):
        step(*map(tf.constant, turn))

    def rule(t, w, g, s):
        if t == 1:
            s.update(m=0.0, v=0.0)
            if w.ndim > 1:
                s.update(l=0.05 * g @ g.T, r=0.05 * g.T @ g)
                s.update(ql=basis(s["l"]), qr=basis(s["r"]))
            return w
        ql, q = (s["ql"], s["qr"]) if w.ndim > 1 else (None, None)
        turn = (lambda x: ql.T @ x @ q) if w.ndim > 1 else (lambda x: x)
        back = (lambda x: ql @ x @ q.T) if w.ndim > 1 else (lambda x: x)
        s["m"] = b * s["m"] + (1 - b) * g
        s["v"] = b * s["v"] + (1 - b) * turn(g) ** 2
        rate = 0.01 * np.sqrt(1 - b ** (t - 1)) / (1 - b ** (t - 1))
        w = w - rate * back(turn(s["m"]) / (np.sqrt(s["v"]) + 1e-8))
        if w.ndim > 1:
            s["l"], s["r"] = b * s["l"] + 0.05 * g @ g.T, b * s["r"] + 0.05 * g.T @ g
            if (t - 1) % every == 0:
                s["ql"], s["qr"] = qr(s["l"] @ ql), qr(s["r"] @ q)
        return w

    for weight, start, turns in zip(weights, starts, grads, strict=True):
        flat = (-1, start.shape[-1]) if start.ndim > 1 else (-1,)
        wanted, state = start.reshape(flat), {}
        for t, g in enumerate(turns, 1):
            wanted = rule(t, wanted, g.reshape(flat), state)
        np.testing.assert_allclose(weight.numpy().reshape(flat), wanted, rtol=1e-6, atol=1e-7)


def test_float32_is_float64_of_full_rank(rng):
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
