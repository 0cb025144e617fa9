"""Shampoo against the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import shampoo


def root(x, power):
    values, vectors = np.linalg.eigh(x)
    return (vectors * (np.maximum(values, 0) + 1e-4) ** (-1 / power)) @ vectors.T


@pytest.mark.parametrize(("every", "beta"), [(1, 1.0), (3, 0.9)])
def test_shampoo(every, beta, equals_numpy):
    def rule(t, w, g, s):
        gain = 1.0 if beta == 1 else 1 - beta
        if w.ndim == 0:
            s["a"] = beta * s.get("a", 0) + gain * g**2
            p = g / np.sqrt(s["a"] + 1e-4)
        else:
            m = g.reshape(-1, g.shape[-1] if g.ndim > 1 else 1)
            s["l"] = beta * s.get("l", 0) + gain * m @ m.T
            s["r"] = beta * s.get("r", 0) + gain * m.T @ m
            if (t - 1) % every == 0:
                power = 4 if w.ndim == 2 else 2
                s["roots"] = root(s["l"], power), root(s["r"], 4) if w.ndim == 2 else np.eye(1)
            p = (s["roots"][0] @ m @ s["roots"][1]).reshape(w.shape)
        s["v"] = 0.9 * s.get("v", 0) + p
        return w - 0.05 * s["v"]

    equals_numpy(
        lambda: optimizers.Shampoo(0.05, update_every=every, beta_2=beta), rule, 2e-4, steps=20
    )


def test_sides():
    assert shampoo.sides(tf.TensorShape([3, 3, 4, 8]), 100) == {"left": 36, "right": 8}
    assert shampoo.sides(tf.TensorShape([3, 3, 4, 8]), 10) == {"right": 8}
    assert shampoo.sides(tf.TensorShape([5]), 10) == {"left": 5}
    assert shampoo.sides(tf.TensorShape([]), 10) == {}


def test_inverse_root(rng):
    a = rng.normal(size=(5, 5))
    square = a @ a.T + np.eye(5)
    got = optimizers.inverse_root(tf.constant(square), 4.0, 0.0)
    np.testing.assert_allclose(np.linalg.inv(np.linalg.matrix_power(got, 4)), square, rtol=1e-6)
    assert optimizers.inverse_root(tf.eye(2, dtype=tf.bfloat16), 2.0, 0.0).dtype == tf.bfloat16
