"""Noise layers: the law of the noise, one mask in plain and XLA, shared axes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L

ONES = np.ones([400, 500], np.float32)


def seeded(layer, seed=1):
    layer.seed_source = lambda: tf.constant([seed, 2])
    return layer


def test_dropout_keeps_the_mean_and_scales():
    y = seeded(L.Dropout(0.3))(ONES, training=True).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / y.size)


@pytest.mark.parametrize("layer", [
    L.Dropout(0.3), L.Dropout(0.3, seed=7), L.DropPath(0.3, seed=-8),
], ids=repr)  # fmt: skip
def test_the_mask_is_the_same_plain_and_compiled(layer):
    """Of seeds below 0, too, where TensorFlow's default way of drawing has XLA differ."""

    def run(seed):
        layer.seed_source = lambda: seed
        return layer(ONES, training=True)

    seed = tf.constant([-1, 2])
    want = run(seed)
    np.testing.assert_array_equal(tf.function(run)(seed), want)
    np.testing.assert_array_equal(tf.function(run, jit_compile=True)(seed), want)
    assert not np.array_equal(run(tf.constant([5, 2])), want)


def test_gaussian_noise_is_the_same_plain_and_compiled():
    layer = seeded(L.GaussianNoise(0.3))
    run = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    np.testing.assert_allclose(run(ONES), layer(ONES, training=True), atol=1e-5)


def test_without_a_source_each_call_draws_anew_and_obeys_the_global_seed():
    layer = L.Dropout(0.5)
    tf.random.set_seed(1)
    one, two = layer(ONES, training=True), layer(ONES, training=True)
    assert not np.array_equal(one, two)
    tf.random.set_seed(1)
    np.testing.assert_array_equal(layer(ONES, training=True), one)


def test_shared_axes():
    y = seeded(L.Dropout(0.5, noise_shape=(None, 1)))(ONES, training=True).numpy()
    assert (y == y[:, :1]).all() and 0 < (y == 0).mean() < 1
    images = np.ones([8, 4, 5, 16], np.float32)
    y = seeded(L.SpatialDropout2D(0.5))(images, training=True).numpy()
    assert (y == y[:, :1, :1]).all() and len(np.unique(y)) == 2
    y = seeded(L.DropPath(0.5))(images, training=True).numpy()
    assert (y == y[:, :1, :1, :1]).all() and len(np.unique(y)) == 2
    with pytest.raises(ValueError, match="one entry per axis"):
        L.Dropout(0.5, noise_shape=(1,))(ONES, training=True)


@pytest.mark.parametrize("layer, mean, stddev", [
    (L.GaussianNoise(0.3), 1.0, 0.3), (L.GaussianDropout(0.2), 1.0, 0.5),
], ids=repr)  # fmt: skip
def test_gaussian_moments(layer, mean, stddev):
    y = seeded(layer)(ONES, training=True).numpy()
    assert abs(y.mean() - mean) < 5 * stddev / np.sqrt(y.size)
    np.testing.assert_allclose(y.std(), stddev, rtol=0.01)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_rate_is_checked(rate):
    with pytest.raises(ValueError, match="rate must be in"):
        L.Dropout(rate)
