"""A GAN of convolutions: two models, two optimizers, digits out of noise."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

import layers
import losses
import optimizers
from benchmarks.data import Data, load_digits
from benchmarks.pictures import side_by_side
from benchmarks.workloads.base import Custom
from trainer import Task

SIDE = 8
CODE = 32
WIDTH = 32  # channels at 4x4; twice as many at 2x2
FEATURES = 64  # that the quality looks at


class Gan(Task):
    """Radford et al. 2016, at the size of the digits: strides for pooling, normalized batches.

    The discriminator is moved first, and the generator then learns from it as it is.
    """

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        small: dict[str, Any] = {"strides": 2, "padding": "same"}
        self.generator = layers.Sequential(
            [
                layers.Dense(2 * 2 * 2 * WIDTH, use_bias=False),
                layers.Reshape([2, 2, 2 * WIDTH]),
                layers.BatchNormalization(momentum=0.9),
                layers.Activation("relu"),
                layers.Conv2DTranspose(WIDTH, 4, use_bias=False, **small),
                layers.BatchNormalization(momentum=0.9),
                layers.Activation("relu"),
                layers.Conv2DTranspose(1, 4, activation="sigmoid", **small),
                layers.Reshape([SIDE, SIDE]),
            ]
        )
        self.discriminator = layers.Sequential(
            [
                layers.Reshape([SIDE, SIDE, 1]),
                layers.Conv2D(WIDTH, 4, **small),
                layers.LeakyReLU(0.2),
                layers.Conv2D(2 * WIDTH, 4, use_bias=False, **small),
                layers.BatchNormalization(momentum=0.9),
                layers.LeakyReLU(0.2),
                layers.Flatten(),
                layers.Dense(1),
            ]
        )
        self.d_optimizer = optimizers.Adam(learning_rate, beta_1=0.5)
        self.g_optimizer = optimizers.Adam(learning_rate, beta_1=0.5)

    def step(self, batch, ctx):
        """Images [b, 8, 8] in [0, 1]; as many are made of noise."""
        both = {"real": batch, "code": codes(tf.shape(batch)[0], ctx.seed())}

        def d_loss(part):
            return losses.gan_discriminator(*self.scores(part["real"], part["code"]))

        def g_loss(part):
            return losses.gan_generator(self.score(self.generate(part["code"])))

        d, g = self.discriminator.trainable_variables, self.generator.trainable_variables
        return {
            "d_loss": ctx.minimize(d_loss, both, self.d_optimizer, d),
            "g_loss": ctx.minimize(g_loss, both, self.g_optimizer, g),
        }

    def generate(self, code):
        """Codes [b, d] -> images [b, 8, 8], as in training."""
        return self.generator(code, training=True)

    def score(self, images):
        """Images -> how real they look, [b, 1]; real and made ones are normalized apart."""
        return self.discriminator(images, training=True)

    def scores(self, real, code):
        """The scores of real images and of those made of a code."""
        return self.score(real), self.score(self.generate(code))


def codes(rows, seed):
    """Noise for the generator: [rows, d]."""
    return tf.random.stateless_normal([rows, CODE], seed)


class Dcgan(Custom):
    """Digits of 8x8 pixels; quality is a distance between made digits and real ones."""

    name = "dcgan"
    title = "DCGAN on 8x8 handwritten digits"
    batch_size = 64
    epochs = 200
    learning_rate = 5e-4
    expected: ClassVar = {"frechet": 0.25}
    at_most = ("frechet",)
    round_steps = 200
    models = ("generator", "discriminator")

    def data(self, data_dir=None):
        """Images [b, 8, 8] in [0, 1], and no targets; `data_dir` is not needed."""
        digits = load_digits()
        return Data(digits.x_train, None, digits.x_test, None)

    def task(self):
        """Generator, discriminator, and an optimizer for each."""
        return Gan(self.learning_rate)

    def validation(self, data):
        """None: the losses of a GAN say nothing of its pictures."""
        return None

    def hand_step(self, task):
        """The same two updates with two tapes."""
        import keras

        d_optimizer = keras.optimizers.Adam(self.learning_rate, beta_1=0.5)
        g_optimizer = keras.optimizers.Adam(self.learning_rate, beta_1=0.5)
        d, g = task.discriminator.trainable_variables, task.generator.trainable_variables

        def step(images, seeds):
            code = codes(tf.shape(images)[0], seeds.next())
            with tf.GradientTape() as tape:
                real, fake = task.scores(images, code)
                d_loss = tf.reduce_mean(tf.math.softplus(-real) + tf.math.softplus(fake))
            d_optimizer.apply(tape.gradient(d_loss, d), d)
            with tf.GradientTape() as tape:
                g_loss = tf.reduce_mean(tf.math.softplus(-task.score(task.generate(code))))
            g_optimizer.apply(tape.gradient(g_loss, g), g)
            return {"d_loss": d_loss, "g_loss": g_loss}

        return step

    def quality(self, trainer: Any, data: Data) -> dict[str, float]:
        """The distance of made digits to the test split, beside two that tell what it means.

        "untrained_frechet" is that of a generator that has learnt nothing, "real_frechet" that of
        the training split: as near as real digits of other writers come.
        """
        untrained = self.trainer(data, self.initial_weights(data, seed=0)).task.generator
        rows = len(data.x_train)
        return {
            "frechet": frechet(self.make(trainer.task.generator, rows), data.x_test),
            "untrained_frechet": frechet(self.make(untrained, rows), data.x_test),
            "real_frechet": frechet(data.x_train, data.x_test),
        }

    def sample(self, trainer: Any, data: Data) -> str:
        """Six digits that the generator makes of noise."""
        return side_by_side(self.make(trainer.task.generator, 6))

    def make(self, generator: Any, rows: int) -> np.ndarray:
        """Images [rows, 8, 8] in inference mode, of the same codes each time."""
        return generator(codes(rows, [0, 0])).numpy()


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """`|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))` of the features of two sets of images.

    The distance of Heusel et al. 2017, whose features are those of a large classifier; here they
    are `relu(x W)` with W drawn once and for all, so that it needs no other model.
    """
    x, y = features(a), features(b)
    product = np.linalg.eigvals(np.cov(x.T) @ np.cov(y.T)).real
    covariances = np.trace(np.cov(x.T)) + np.trace(np.cov(y.T))
    shift = np.sum(np.square(x.mean(0) - y.mean(0)))
    return float(shift + covariances - 2.0 * np.sum(np.sqrt(np.maximum(product, 0.0))))


def features(images: np.ndarray) -> np.ndarray:
    """Images [n, h, w] -> [n, FEATURES], in float64."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    rng = np.random.Generator(np.random.Philox(key=FEATURES))
    drawn = rng.normal(0.0, flat.shape[1] ** -0.5, [flat.shape[1], FEATURES])
    return np.maximum(flat @ drawn, 0.0)
