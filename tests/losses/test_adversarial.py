"""Adversarial losses: identities between them; values: catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import losses


def test_the_discriminator_s_is_binary_crossentropy(rng):
    real, fake = np.float32(rng.normal(size=(2, 5, 1)))
    both = losses.binary_crossentropy(tf.ones([5, 1]), real, True) + losses.binary_crossentropy(
        tf.zeros([5, 1]), fake, True
    )
    np.testing.assert_allclose(losses.gan_discriminator(real, fake), both, rtol=1e-6)


def test_a_map_of_scores_is_averaged_over_each_example(rng):
    scores = np.float32(rng.normal(size=(5, 3, 2, 1)))
    np.testing.assert_allclose(
        losses.wasserstein_generator(scores), -scores.mean((1, 2, 3)), rtol=1e-5
    )


@pytest.mark.parametrize("jit", [False, True])
def test_a_linear_critic_s_penalty_is_known_and_reaches_its_weights(jit, rng):
    w = tf.Variable([[3.0], [4.0]])
    real, fake = np.float32(rng.normal(size=(2, 6, 2)))

    @tf.function(jit_compile=jit, autograph=False)
    def run():
        with tf.GradientTape() as tape:
            values = losses.gradient_penalty(lambda x: x @ w, real, fake, [1, 2])
        return values, tape.gradient(values, w)

    values, gradient = run()
    np.testing.assert_allclose(values, [16.0] * 6, rtol=1e-6)  # (5 - 1)^2
    np.testing.assert_allclose(gradient, 6 * 2 * 4 * np.array([[0.6], [0.8]]), rtol=1e-5)


def test_a_flat_critic_has_a_penalty_without_nan():
    x = tf.ones([2, 3])
    w = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        values = losses.gradient_penalty(lambda x: w * tf.reduce_sum(x, 1), x, 2 * x, [0, 0], 0.0)
    assert np.isfinite(tape.gradient(values, w))
    np.testing.assert_array_equal(values, [0.0, 0.0])


def test_the_seed_alone_decides_the_mixture(rng):
    real, fake = np.float32(rng.normal(size=(2, 6, 2)))

    def run(seed):
        return losses.gradient_penalty(lambda x: tf.reduce_sum(x**2, 1), real, fake, seed)

    np.testing.assert_array_equal(run([1, 2]), run([1, 2]))
    assert not np.allclose(run([1, 2]), run([1, 3]))


def test_refusals():
    with pytest.raises(ValueError, match="they need a batch axis"):
        losses.gan_generator(0.5)
    with pytest.raises(ValueError, match="they must be equal"):
        losses.gradient_penalty(tf.identity, tf.ones([2, 3]), tf.ones([2, 4]), [0, 0])
