"""Spectral and weight normalisation against their papers in float64, and Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal(size=[4, 6]).astype(np.float32)


def test_the_largest_singular_value_becomes_one(run):
    """NumPy's singular values; after many steps of the power method."""
    layer = L.SpectralNormalization(L.Dense(5, use_bias=False), 50)
    layer(X, training=True)
    kernel = np.float64(layer.layer.get_weights()[0])
    want = np.float64(X) @ kernel / np.linalg.svd(kernel, compute_uv=False)[0]
    np.testing.assert_allclose(run(layer, X), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.layer.get_weights()[0], np.float32(kernel))


def test_the_gradient_is_the_papers():
    """(G - <G, W_sn> v u^T) / sigma with G = dL/dW_sn: Miyato et al., equation 10."""
    layer = L.SpectralNormalization(L.Dense(5, use_bias=False), 50)
    layer(X, training=True)
    kernel = np.float64(layer.layer.get_weights()[0])
    left, values, right = np.linalg.svd(kernel)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(layer(X)))
    got = tape.gradient(loss, layer.layer.kernel)
    normed = kernel / values[0]
    inner = np.float64(X).T @ np.cos(np.float64(X) @ normed)
    outer = np.outer(left[:, 0], right[0])
    want = (inner - np.sum(inner * normed) * outer) / values[0]
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


def test_a_first_training_step_gives_what_keras_gives():
    theirs = keras.layers.SpectralNormalization(keras.layers.Conv2D(3, 2))
    ours = L.SpectralNormalization(L.Conv2D(3, 2))
    x = np.random.default_rng(1).normal(size=[2, 4, 4, 3]).astype(np.float32)
    theirs(x), ours(x)
    u = theirs.vector_u.numpy()
    ours.layer.set_weights(theirs.layer.get_weights())
    ours.vector_u.assign(u)
    np.testing.assert_allclose(ours(x, training=True), theirs(x, training=True), atol=1e-5)
    np.testing.assert_allclose(ours.vector_u, theirs.vector_u.numpy(), atol=1e-6)


def test_a_kernel_is_a_length_and_a_direction(run):
    layer = L.WeightNormalization(L.Dense(5))
    plain = L.Dense(5)
    plain(X)
    layer(X)
    layer.layer.set_weights(plain.get_weights())
    layer.g.assign(tf.norm(plain.kernel, axis=0))
    np.testing.assert_allclose(run(layer, X), plain(X), atol=1e-5)  # as it would without
    layer.g.assign([1.0, 2.0, 3.0, 4.0, 5.0])
    v, bias = map(np.float64, plain.get_weights())
    want = np.float64(X) @ (v / np.linalg.norm(v, axis=0) * np.arange(1, 6)) + bias
    np.testing.assert_allclose(run(layer, X), want, rtol=1e-5, atol=1e-5)


def test_an_embedding_and_a_kernel_of_zeros():
    layer = L.SpectralNormalization(L.Embedding(7, 3))
    assert layer(np.array([[1, 2]])).shape == (1, 2, 3)
    zeros = L.SpectralNormalization(L.Dense(2, kernel_initializer="zeros"))
    assert np.isfinite(zeros(X, training=True)).all()


def test_what_is_refused():
    with pytest.raises(TypeError, match="layer must be a Layer"):
        L.WeightNormalization(tf.identity)
    with pytest.raises(ValueError, match="needs a layer with a kernel or embeddings"):
        L.WeightNormalization(L.Flatten())(X)
    with pytest.raises(ValueError, match="power_iterations must be a positive integer"):
        L.SpectralNormalization(L.Dense(2), 0)
