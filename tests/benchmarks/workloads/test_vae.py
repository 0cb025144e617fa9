"""The VAE's likelihood."""

import math

import numpy as np
import tensorflow as tf

from benchmarks.workloads import vae


def test_the_likelihood_is_the_binomial_s():
    counts = np.arange(vae.LEVELS + 1.0)
    logit = 0.7
    p = 1 / (1 + math.exp(-logit))
    found = vae.binomial_log_likelihood(tf.constant(counts, tf.float32), logit).numpy()
    expected = [math.comb(16, k) * p**k * (1 - p) ** (16 - k) for k in range(17)]
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(), 1, rtol=1e-5)


def test_the_rate_is_the_divergence_from_a_standard_normal():
    """Kingma and Welling 2014, appendix B: none where the code says nothing."""
    task = vae.Autoencoder(1e-3)
    images = tf.zeros([2, 8, 8])
    noise = tf.zeros([2, vae.CODE])
    task.bits(images, noise)  # builds
    task.encoder.set_weights([np.zeros_like(w) for w in task.encoder.get_weights()])
    np.testing.assert_array_equal(task.bits(images, noise)[1], [0, 0])
    weights = task.encoder.get_weights()
    weights[-1][: vae.CODE] = 2.0  # every mean: 2 squared over 2, in nats
    task.encoder.set_weights(weights)
    expected = vae.CODE * 2.0 / (64 * math.log(2))
    np.testing.assert_allclose(task.bits(images, noise)[1], [expected] * 2, rtol=1e-6)
