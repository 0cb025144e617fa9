"""SimCLR: features that tell digits apart, learnt from images without looking at labels."""

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
from trainer import Sums, Task

SIDE = 16
WIDTH = 32
TEMPERATURE = 0.2
NEIGHBORS = 5


class Contrastive(Task):
    """Chen et al. 2020: two views of an image must find each other among all views of the batch."""

    divisible = False  # all views of a batch are candidates for one another

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        how: dict[str, Any] = {"padding": "same", "activation": "relu"}
        self.encoder = layers.Sequential(
            [
                layers.Reshape([SIDE, SIDE, 1]),
                layers.Conv2D(WIDTH, 3, **how),
                layers.Conv2D(2 * WIDTH, 3, strides=2, **how),
                layers.Conv2D(4 * WIDTH, 3, **how),
                layers.GlobalAveragePooling2D(),  # what is seen counts, not where
            ]
        )
        self.projection = layers.Sequential(
            [layers.Dense(4 * WIDTH, activation="relu"), layers.Dense(2 * WIDTH)]
        )
        self.optimizer = optimizers.Adam(learning_rate)

    def step(self, batch, ctx):
        """Images [b, 16, 16]; the labels come along for the examination and are not looked at."""
        images, _ = batch
        views = {"one": view(images, ctx.seed), "other": view(images, ctx.seed)}
        variables = [*self.encoder.trainable_variables, *self.projection.trainable_variables]
        return {"loss": ctx.minimize(self.loss, views, self.optimizer, variables)}

    def eval_step(self, batch, ctx):
        """The same loss, without an update."""
        images, _ = batch
        views = {"one": view(images, ctx.seed), "other": view(images, ctx.seed)}
        return {"loss": Sums.of(self.loss(views))}

    def predict_step(self, batch, ctx):
        """Features [b, d]: what the encoder makes of the images themselves."""
        return self.encoder(batch)

    def loss(self, views):
        """NT-Xent of two views of each image: [b]."""
        one = self.projection(self.encoder(views["one"]))
        other = self.projection(self.encoder(views["other"]))
        return losses.nt_xent(one, other, temperature=TEMPERATURE)


def view(images, draw):
    """Images [b, h, w] seen otherwise: moved, zoomed and stretched, lighter or darker, with noise.

    A zoom along one axis is a product with a matrix of weights, as interpolation is linear; so it
    takes part in any compiled step.

    Args:
        images: what is seen.
        draw: gives the next seed.
    """
    rows = tf.shape(images)[0]

    def uniform(low, high):
        return tf.random.stateless_uniform([rows, 1, 1], draw(), low, high)

    def resampling():
        """[b, i, j]: how much of pixel j there is in pixel i of the view."""
        middle = (SIDE - 1) / 2
        pixels = tf.range(SIDE, dtype=tf.float32)
        zoom, offset = uniform(0.8, 1.25), uniform(-4.0, 4.0)
        seen_at = middle + (pixels[None, :, None] - middle) * zoom + offset
        return tf.nn.relu(1.0 - tf.abs(seen_at - pixels))

    moved = tf.matmul(tf.matmul(resampling(), images), resampling(), transpose_b=True)
    noise = tf.random.stateless_normal(tf.shape(images), draw())
    return uniform(0.5, 1.5) * moved + 0.1 * noise


class SimClr(Custom):
    """Digits somewhere in a larger image: as pixels, two of a kind have little in common."""

    name = "simclr"
    title = "SimCLR on digits out of place"
    batch_size = 128
    epochs = 60
    learning_rate = 1e-3
    expected: ClassVar = {"accuracy": 0.9, "gain": 0.15}
    round_steps = 100
    models = ("encoder", "projection")

    def data(self, data_dir=None):
        """Images [b, 16, 16] with a digit of the repository in each, and labels [b]."""
        digits = load_digits()
        rng = np.random.Generator(np.random.Philox(key=SIDE))
        x_train, x_test = place(digits.x_train, rng), place(digits.x_test, rng)
        return Data(x_train, digits.y_train, x_test, digits.y_test)

    def task(self):
        """Encoder, projection and one optimizer for both."""
        return Contrastive(self.learning_rate)

    def hand_step(self, task):
        """The same update with a tape."""
        import keras

        optimizer = keras.optimizers.Adam(self.learning_rate)
        variables = [*task.encoder.trainable_variables, *task.projection.trainable_variables]

        def step(batch, seeds):
            images, _ = batch
            views = {"one": view(images, seeds.next), "other": view(images, seeds.next)}
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(task.loss(views))
            optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

        return step

    def quality(self, trainer: Any, data: Data) -> dict[str, float]:
        """How often the nearest training images by features tell the digit.

        Beside it, by how much that is more than what an encoder tells that has learnt nothing, and
        what the pixels tell.
        """
        accuracy = nearest_tell(trainer.task.encoder, data)
        untrained = self.trainer(data, self.initial_weights(data, seed=0)).task.encoder
        return {
            "accuracy": accuracy,
            "gain": accuracy - nearest_tell(untrained, data),
            "pixels_accuracy": nearest_tell(lambda x: tf.reshape(x, [len(x), -1]), data),
        }

    def sample(self, trainer: Any, data: Data) -> str:
        """A test image and the three training images nearest to it by features."""
        order = neighbors(trainer.task.encoder, data)[0]
        nearest = np.stack([data.x_test[0], *data.x_train[order[:3]]])
        return f"a test image, and the three nearest\n{side_by_side(nearest)}"


def place(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Puts each image [n, 8, 8] somewhere into a larger empty one: [n, 16, 16]."""
    larger = np.zeros([len(images), SIDE, SIDE], np.float32)
    height, width = images.shape[1:]
    corners = rng.integers(0, [SIDE - height + 1, SIDE - width + 1], [len(images), 2])
    for i, (top, left) in enumerate(corners):
        larger[i, top : top + height, left : left + width] = images[i]
    return larger


def neighbors(encode: Any, data: Data) -> np.ndarray:
    """The training rows nearest to each test row by the cosine of features, nearest first."""

    def unit(images):
        features = np.asarray(encode(tf.constant(images)), np.float64)
        return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)

    cosines = unit(data.x_test) @ unit(data.x_train).T  # [test, train]
    return np.argsort(-cosines, axis=1, kind="stable")[:, :NEIGHBORS]


def nearest_tell(encode: Any, data: Data) -> float:
    """The share of test rows of which most of the nearest training rows have the label."""
    labels = np.asarray(data.y_train)[neighbors(encode, data)]  # [test, NEIGHBORS]
    votes = (labels[:, :, None] == np.arange(10)).sum(1)  # [test, 10]
    return float(np.mean(votes.argmax(1) == data.y_test))
