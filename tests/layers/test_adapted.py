"""Normalization against NumPy in float64 and Keras; what data may be."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal([100.0, -3.0, 0.0], [0.1, 2.0, 5.0], [50, 7, 3])


@pytest.mark.parametrize("axis", [-1, (1, 2), None])
def test_adapted_to_data(run, axis):
    others = {-1: (0, 1), (1, 2): 0, None: None}[axis]
    want = (X - X.mean(others)) / X.std(others)
    layer = L.Normalization(axis)
    layer.adapt(X)
    np.testing.assert_allclose(run(layer, X.astype(np.float32)), want, atol=2e-3)  # x near 100
    layer.compute_dtype = "float64"
    np.testing.assert_allclose(run(layer, X), want, rtol=1e-4, atol=1e-4)  # float32 statistics
    back = L.Normalization(axis, invert=True)
    back.adapt(X)
    np.testing.assert_allclose(run(back, want.astype(np.float32)), X, rtol=1e-5, atol=1e-4)


def test_batches_are_one_array_and_are_forgotten_when_adapted_again():
    whole = L.Normalization()
    whole.adapt(X)
    for data in ([X[:1], X[1:30], X[30:], X[:0]], tf.data.Dataset.from_tensor_slices(X).batch(8)):
        layer = L.Normalization()
        layer.adapt(X * 3)
        layer.adapt(data)
        for a, b in zip(layer.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    assert int(whole.count) == 350


def test_keras():
    theirs, ours = keras.layers.Normalization(), L.Normalization()
    theirs.adapt(X.astype(np.float32))
    ours(X[:1])
    ours.set_weights(theirs.get_weights())
    x = X[:5].astype(np.float32)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_before_adapting_and_a_variance_of_zero():
    np.testing.assert_array_equal(L.Normalization()(np.float32(X)), np.float32(X))
    layer = L.Normalization()
    layer.adapt(np.full([4, 2], 3.0))
    np.testing.assert_array_equal(layer(np.full([1, 2], 3.0)), [[0.0, 0.0]])


@pytest.mark.parametrize("make, words", [
    (lambda: L.Normalization(mean=1.0), "mean and variance go together"),
    (lambda: L.Normalization(mean=1.0, variance=1.0).adapt(X), "was given mean and variance"),
    (lambda: L.Normalization().adapt(X[:0]), "no rows"),
    (lambda: L.Normalization(5).adapt(X), "axis of Normalization layer 'normalization' must be"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
    with pytest.raises(TypeError, match="take the inputs out"):
        L.Normalization().adapt(tf.data.Dataset.from_tensors((X, X)))
