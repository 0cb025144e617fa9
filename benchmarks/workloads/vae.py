"""A variational autoencoder: digits in two dozen numbers, and new digits out of noise."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import tensorflow as tf

import layers
import optimizers
from benchmarks.data import Data, load_digits
from benchmarks.pictures import side_by_side
from benchmarks.workloads.base import Custom
from trainer import Sums, Task

SIDE = 8
LEVELS = 16  # a pixel counts the dark points among 16
CODE = 8


class Autoencoder(Task):
    """Kingma and Welling 2014, with a likelihood that knows what a pixel is.

    A pixel of these digits is how many of 16 points were dark, so the decoder gives the chance of
    one point, and a pixel is binomial. The negative ELBO is then a code length: with a perfect
    coder, the model would store an image in so many bits per pixel, where log2(17) = 4.09 say
    nothing of it.
    """

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.encoder = layers.Sequential(
            [layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dense(2 * CODE)]
        )
        self.decoder = layers.Sequential(
            [
                layers.Dense(256, activation="relu"),
                layers.Dense(SIDE * SIDE),
                layers.Reshape([SIDE, SIDE]),
            ]
        )
        self.optimizer = optimizers.Adam(learning_rate)

    def step(self, batch, ctx):
        """Images [b, 8, 8] in [0, 1]; one sample of the code for each."""
        noise = tf.random.stateless_normal([tf.shape(batch)[0], CODE], ctx.seed())

        def loss_fn(part):
            distortion, rate = self.bits(part["image"], part["noise"])
            return distortion + rate, {"rate": Sums.of(rate)}

        variables = [*self.encoder.trainable_variables, *self.decoder.trainable_variables]
        both = {"image": batch, "noise": noise}
        loss, extras = ctx.minimize(loss_fn, both, self.optimizer, variables)
        return {"loss": loss, **extras}

    def eval_step(self, batch, ctx):
        """The same bits, without an update."""
        noise = tf.random.stateless_normal([tf.shape(batch)[0], CODE], ctx.seed())
        distortion, rate = self.bits(batch, noise)
        return {"loss": Sums.of(distortion + rate), "rate": Sums.of(rate)}

    def bits(self, image, noise):
        """The two terms of the negative ELBO, in bits per pixel: [b], [b]."""
        mean, log_variance = tf.split(self.encoder(image), 2, axis=-1)  # [b, d]
        code = mean + tf.exp(0.5 * log_variance) * noise
        logits = self.decoder(code)  # [b, 8, 8]
        distortion = -tf.reduce_sum(binomial_log_likelihood(LEVELS * image, logits), [1, 2])
        rate = 0.5 * tf.reduce_sum(
            tf.square(mean) + tf.exp(log_variance) - log_variance - 1.0, axis=-1
        )
        scale = 1.0 / (SIDE * SIDE * math.log(2.0))
        return scale * distortion, scale * rate


def binomial_log_likelihood(count, logits):
    """`log P(count)` of a binomial of `LEVELS` trials, each of chance `sigmoid(logits)`."""
    ways = tf.math.lgamma(LEVELS + 1.0) - tf.math.lgamma(count + 1.0)
    ways -= tf.math.lgamma(LEVELS - count + 1.0)
    return ways + count * logits - LEVELS * tf.math.softplus(logits)


class Vae(Custom):
    """The digits in 8 numbers each; quality is in bits per pixel, and 200 epochs are seconds."""

    name = "vae"
    title = "VAE on 8x8 handwritten digits"
    batch_size = 64
    epochs = 200
    learning_rate = 2e-3
    expected: ClassVar = {"loss": 2.25}
    round_steps = 3000
    models = ("encoder", "decoder")

    def data(self, data_dir=None):
        """Images [b, 8, 8] in [0, 1], and no targets; `data_dir` is not needed."""
        digits = load_digits()
        return Data(digits.x_train, None, digits.x_test, None)

    def task(self):
        """Encoder, decoder and one optimizer for both."""
        return Autoencoder(self.learning_rate)

    def hand_step(self, task):
        """The same update with a tape."""
        import keras

        optimizer = keras.optimizers.Adam(self.learning_rate)
        variables = [*task.encoder.trainable_variables, *task.decoder.trainable_variables]

        def step(images, seeds):
            noise = tf.random.stateless_normal([tf.shape(images)[0], CODE], seeds.next())
            with tf.GradientTape() as tape:
                distortion, rate = task.bits(images, noise)
                loss = tf.reduce_mean(distortion + rate)
            optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss, "rate": tf.reduce_mean(rate)}

        return step

    def sample(self, trainer: Any, data: Data) -> str:
        """Six digits that the decoder makes of noise."""
        noise = tf.random.stateless_normal([6, CODE], [0, 0])
        return side_by_side(tf.sigmoid(trainer.task.decoder(noise)).numpy())
