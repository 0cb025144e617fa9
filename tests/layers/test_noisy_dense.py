"""NoisyDense: the paper's law of the noise, and no noise in inference."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L


def test_inference_is_a_dense_layer():
    x = np.random.default_rng(0).normal(size=[4, 6]).astype(np.float32)
    noisy, plain = L.NoisyDense(5, "tanh"), L.Dense(5, "tanh")
    noisy(x), plain(x)
    plain.set_weights([noisy.kernel, noisy.bias])
    np.testing.assert_allclose(noisy(x), plain(x), atol=1e-6)
    np.testing.assert_allclose(noisy.kernel_sigma, 0.5 / np.sqrt(6), rtol=1e-6)
    assert np.abs(noisy.kernel).max() <= 1 / np.sqrt(6)


def test_the_noise_has_rank_one_and_its_law():
    """E f(p)^2 = E |p| = sqrt(2 / pi), so a weight's variance is sigma^2 times 2 / pi."""
    n = 100
    layer = L.NoisyDense(n)
    layer.seed_source = lambda: tf.constant([1, 2])
    eye = np.eye(n, dtype=np.float32)
    layer(eye)
    layer.set_weights([np.zeros([n, n]), np.ones([n, n]), np.zeros(n), np.zeros(n)])
    noise = np.float64(layer(eye, training=True))
    values = np.linalg.svd(noise, compute_uv=False)
    assert values[1] < 1e-4 * values[0]
    assert abs(noise.var() / (2 / np.pi) - 1) < 0.3 and abs(noise.mean()) < 0.1


def test_what_is_refused():
    with pytest.raises(ValueError, match="sigma_zero must be 0 or more"):
        L.NoisyDense(3, sigma_zero=-1.0)
