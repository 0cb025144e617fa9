"""Transforms of gradients against NumPy, and their order."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.mark.parametrize("jit", [False, True])
def test_adaptive_clipping(jit, rng):
    shapes = ((4, 3), (2, 2, 3, 5), (4,), ())
    weights = [np.float32(rng.normal(size=s)) for s in shapes]
    grads = [np.float32(rng.normal(size=s)) for s in shapes]
    weights[0][:, 1] = 0.0  # a unit without weights: its norm counts as epsilon
    clip = tf.function(optimizers.AdaptiveClip(0.3, 0.01), jit_compile=jit)
    got = clip([tf.constant(g) for g in grads], [tf.constant(w) for w in weights])
    for g, w, out in zip(grads, weights, got, strict=True):
        axes = tuple(range(g.ndim - 1)) if g.ndim > 1 else None
        norm = lambda x, a=axes: np.sqrt((x**2).sum(axis=a, keepdims=True))  # noqa: E731
        most = 0.3 * np.maximum(norm(w), 0.01)
        np.testing.assert_allclose(out, g * np.minimum(1, most / norm(g)), rtol=1e-5)


def test_centralisation(rng):
    kernel, bias = np.float32(rng.normal(size=(3, 3, 2, 4))), np.float32(rng.normal(size=4))
    got = optimizers.Centralize()([tf.constant(kernel), tf.constant(bias)], [])
    np.testing.assert_allclose(got[0], kernel - kernel.mean((0, 1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got[1], bias)


@pytest.mark.parametrize(
    ("transform", "option"),
    [
        (optimizers.ClipValue(0.3), {"clipvalue": 0.3}),
        (optimizers.ClipNorm(0.3), {"clipnorm": 0.3}),
        (optimizers.ClipGlobalNorm(0.3), {"global_clipnorm": 0.3}),
    ],
)
def test_clipping_is_the_optimizers_own(transform, option, rng):
    one, two = ([tf.Variable(tf.zeros([2])), tf.Variable(tf.zeros([3]))] for _ in range(2))
    grads = [tf.constant(rng.normal(size=n), tf.float32) for n in (2, 3)]
    optimizers.SGD(1.0, **option).apply(grads, one)
    optimizers.Transform(optimizers.SGD(1.0), transform).apply(grads, two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_transforms_run_in_their_order_and_see_rows_as_dense():
    table = tf.Variable(tf.zeros([3, 1]))
    seen = []

    def double(gradients, weights):
        seen.append(weights[0].shape)
        return [2.0 * g for g in gradients]

    optimizer = optimizers.Transform(optimizers.SGD(1.0), double, optimizers.ClipValue(3.0))
    rows = tf.IndexedSlices(tf.constant([[1.0], [1.0], [0.5]]), tf.constant([1, 1, 2]), (3, 1))
    optimizer.apply([rows], [table])
    np.testing.assert_array_equal(table, [[0.0], [-3.0], [-1.0]])
    assert seen == [[3, 1]]


def test_misuse():
    with pytest.raises(ValueError, match="transforms is empty"):
        optimizers.Transform(optimizers.SGD())
    with pytest.raises(TypeError, match="transforms holds 3"):
        optimizers.Transform(optimizers.SGD(), 3)
    with pytest.raises(ValueError, match="clipvalue=0 must be positive"):
        optimizers.ClipValue(0)
