"""Adversarial losses: what a discriminator and a generator minimise, one value per example.

Scores are what a discriminator (or critic) gives, without a sigmoid: [b], [b, 1], or a map of them
[b, h, w, 1] as of a patch discriminator, which is averaged over each example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from losses.base import TensorLike


def gan_discriminator(real: TensorLike, fake: TensorLike) -> tf.Tensor:
    """`-log sigmoid(real) - log(1 - sigmoid(fake))` (Goodfellow et al. 2014): scores -> [b]."""
    return per_example(tf.math.softplus(-_scores(real))) + per_example(
        tf.math.softplus(_scores(fake))
    )


def gan_generator(fake: TensorLike) -> tf.Tensor:
    """`-log sigmoid(fake)`, the non-saturating form (Goodfellow et al. 2014): scores -> [b]."""
    return per_example(tf.math.softplus(-_scores(fake)))


def hinge_discriminator(real: TensorLike, fake: TensorLike) -> tf.Tensor:
    """`max(0, 1 - real) + max(0, 1 + fake)` (Lim and Ye 2017): scores -> [b]."""
    return per_example(tf.nn.relu(1.0 - _scores(real))) + per_example(
        tf.nn.relu(1.0 + _scores(fake))
    )


def hinge_generator(fake: TensorLike) -> tf.Tensor:
    """`-fake`, beside `hinge_discriminator`: scores -> [b]."""
    return per_example(-_scores(fake))


def least_squares_discriminator(real: TensorLike, fake: TensorLike) -> tf.Tensor:
    """`((real - 1)^2 + fake^2) / 2` (Mao et al. 2017): scores -> [b]."""
    return 0.5 * (
        per_example(tf.square(_scores(real) - 1.0)) + per_example(tf.square(_scores(fake)))
    )


def least_squares_generator(fake: TensorLike) -> tf.Tensor:
    """`(fake - 1)^2 / 2` (Mao et al. 2017): scores -> [b]."""
    return 0.5 * per_example(tf.square(_scores(fake) - 1.0))


def wasserstein_critic(real: TensorLike, fake: TensorLike) -> tf.Tensor:
    """`fake - real` (Arjovsky et al. 2017): scores -> [b]; add a `gradient_penalty`."""
    return per_example(_scores(fake)) - per_example(_scores(real))


def wasserstein_generator(fake: TensorLike) -> tf.Tensor:
    """`-fake` (Arjovsky et al. 2017): scores -> [b]."""
    return per_example(-_scores(fake))


def gradient_penalty(
    critic: Callable[[Any], Any],
    real: TensorLike,
    fake: TensorLike,
    seed: TensorLike,
    target: float = 1.0,
) -> tf.Tensor:
    """`(|grad critic(x)| - target)^2` at random points between real and fake: [b, ...] -> [b].

    Gulrajani et al. 2017; there it is added to the critic's loss ten times. An example is a point
    `u real + (1 - u) fake` with u uniform in [0, 1). The critic must treat examples apart: no batch
    normalisation.

    Args:
        critic: From examples to scores.
        real: Real examples.
        fake: Generated ones, of the same shape.
        seed: Of the mixture, int32 [2], such as `ctx.seed()` gives.
        target: The norm that costs nothing; 0 makes it a plain penalty on the gradient.
    """
    real, fake = tf.cast(real, tf.float32), tf.cast(fake, tf.float32)
    if not real.shape.is_compatible_with(fake.shape):
        raise ValueError(f"real has shape {real.shape} and fake {fake.shape}; they must be equal.")
    shape = tf.concat([tf.shape(real)[:1], tf.ones([tf.rank(real) - 1], tf.int32)], 0)
    # Floats of one seed differ between TensorFlow and XLA; bits do not.
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, "philox")
    mix = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24
    points = mix * real + (1.0 - mix) * fake
    with tf.GradientTape() as tape:
        tape.watch(points)
        scores = critic(points)
    gradient = tf.cast(tape.gradient(scores, points), tf.float32)
    square = tf.reduce_sum(tf.square(gradient), list(range(1, points.shape.rank)))
    # The root has no gradient at 0: the second tf.where keeps an infinite one out.
    positive = square > 0.0
    norm = tf.where(positive, tf.sqrt(tf.where(positive, square, 1.0)), 0.0)
    return tf.square(norm - target)


def per_example(values: tf.Tensor) -> tf.Tensor:
    """The mean over all axes but the first: [b, ...] -> [b]."""
    return (
        values
        if values.shape.rank == 1
        else tf.reduce_mean(values, list(range(1, values.shape.rank)))
    )


def _scores(scores: TensorLike) -> tf.Tensor:
    scores = tf.cast(scores, tf.float32)
    if not scores.shape.rank:
        raise ValueError(
            f"the scores have shape {scores.shape}; they need a batch axis: [b] or [b, ...]."
        )
    return scores
