"""One step of each cell against its formula in NumPy, float64; gradients are in test_scan."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from layers import activations, cells

RNG = np.random.default_rng(0)
X, H, C = (RNG.normal(size=[3, n]) for n in (8, 2, 2))
R, B = RNG.normal(size=[2, 8]), RNG.normal(size=[6])


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def tensors(*arrays):
    return tuple(tf.constant(a) for a in arrays)


def test_simple():
    cell = cells.simple_cell(activations.tanh, tf.identity)
    (h,), _ = cell.step(tf.constant(X[:, :2]), tensors(H), tensors(R[:, :2]))
    np.testing.assert_allclose(h, np.tanh(X[:, :2] + H @ R[:, :2]), rtol=1e-12)


def test_lstm():
    cell = cells.lstm_cell(activations.tanh, activations.sigmoid, tf.identity)
    (h, c), _ = cell.step(tf.constant(X), tensors(H, C), tensors(R))
    i, f, g, o = np.split(X + H @ R, 4, 1)
    want = sigmoid(f) * C + sigmoid(i) * np.tanh(g)
    np.testing.assert_allclose(c, want, rtol=1e-12)
    np.testing.assert_allclose(h, sigmoid(o) * np.tanh(want), rtol=1e-12)


def test_gru_with_the_reset_after_and_before_the_product():
    x, r6 = X[:, :6], R[:, :6]
    xz, xr, xn = np.split(x, 3, 1)
    cell = cells.gru_cell(activations.tanh, activations.sigmoid, tf.identity)
    (h,), _ = cell.step(tf.constant(x), tensors(H), tensors(r6, B))
    pz, pr, pn = np.split(H @ r6 + B, 3, 1)
    z, n = sigmoid(xz + pz), np.tanh(xn + sigmoid(xr + pr) * pn)
    np.testing.assert_allclose(h, z * H + (1 - z) * n, rtol=1e-12)

    cell = cells.gru_before_cell(activations.tanh, activations.sigmoid, tf.identity)
    (h,), _ = cell.step(tf.constant(x), tensors(H), tensors(r6[:, :4], r6[:, 4:]))
    pz, pr = np.split(H @ r6[:, :4], 2, 1)
    z, n = sigmoid(xz + pz), np.tanh(xn + (sigmoid(xr + pr) * H) @ r6[:, 4:])
    np.testing.assert_allclose(h, z * H + (1 - z) * n, rtol=1e-12)
