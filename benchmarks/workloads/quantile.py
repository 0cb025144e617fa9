"""Tabular regression with its uncertainty: five quantiles of a target whose spread varies."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from benchmarks.data import Data
from benchmarks.workloads.base import Supervised

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FEATURES = 6
ROWS = 16384


def center_and_spread(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the target lies and how far it strays, in truth: rows [b, 6] -> [b], [b]."""
    center = np.sin(3.0 * x[:, 0]) + x[:, 1] * x[:, 2]
    return center, 0.1 + 0.5 / (1.0 + np.exp(-4.0 * x[:, 3]))  # the last two features say nothing


def true_quantiles(x: np.ndarray) -> np.ndarray:
    """`[b, 6] -> [b, 5]`: the target strays by a Gumbel distribution, `-log(-log(q))` at q."""
    center, spread = center_and_spread(x)
    return center[:, np.newaxis] + spread[:, np.newaxis] * -np.log(-np.log(QUANTILES))


class Quantile(Supervised):
    """Quality is the pinball loss, beside that of the true quantiles, and what each promises.

    The share of targets below the 5% quantile, say, should be 5%.
    """

    name = "quantile"
    title = "Quantiles of a target whose spread varies"
    batch_size = 64
    epochs = 20
    learning_rate = 3e-3
    expected: ClassVar = {"loss_over_best": 1.03, "worst_coverage_error": 0.025}
    at_most = ("loss_over_best", "worst_coverage_error")
    round_steps = 1000

    def data(self, data_dir=None):
        """Rows [b, 6] in [-1, 1] and targets [b, 1]; `data_dir` is not needed."""
        rng = np.random.default_rng(0)

        def part(rows):
            x = rng.uniform(-1.0, 1.0, [rows, FEATURES])
            center, spread = center_and_spread(x)
            y = center + spread * rng.gumbel(size=rows)
            return x.astype(np.float32), y.astype(np.float32)[:, np.newaxis]

        return Data(*part(ROWS), *part(ROWS))

    def model(self):
        """Rows [b, 6] -> quantiles [b, 5]."""
        import layers

        hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
        return layers.Sequential([*hidden, layers.Dense(len(QUANTILES))])

    def keras_model(self):
        """The same, of Keras."""
        import keras

        hidden = [keras.layers.Dense(64, activation="relu") for _ in range(2)]
        return keras.Sequential(
            [keras.Input([FEATURES]), *hidden, keras.layers.Dense(len(QUANTILES))]
        )

    def loss(self):
        """Pinball, at all quantiles at once."""
        import losses

        return losses.Pinball(QUANTILES)

    def keras_loss(self):
        """Keras has no such loss; this is one."""
        import keras
        import tensorflow as tf

        class Pinball(keras.losses.Loss):
            def call(self, y_true, y_pred):
                error, q = y_true - y_pred, tf.constant(QUANTILES)  # [b, 5], [5]
                return tf.reduce_mean(tf.maximum(q * error, (q - 1.0) * error), axis=-1)

        return Pinball()

    def optimizer(self):
        """Adam, whose rate falls to 0: what keeps jumping about misses its quantile."""
        import optimizers

        return optimizers.Adam(optimizers.schedules.CosineDecay(self.learning_rate, self.steps()))

    def keras_optimizer(self):
        """The same, of Keras."""
        import keras

        schedule = keras.optimizers.schedules.CosineDecay(self.learning_rate, self.steps())
        return keras.optimizers.Adam(schedule)

    def steps(self):
        """Of all epochs."""
        return self.epochs * ROWS // self.batch_size

    def metrics(self):
        """None: the loss says it."""
        return []

    def quality(self, trainer, data):
        """Over the test split."""
        found = trainer.predict(data.x_test)
        best = true_quantiles(data.x_test)
        below = np.mean(data.y_test < found, axis=0)  # [5]
        loss = pinball(data.y_test, found)
        return {
            "loss": loss,
            "loss_over_best": loss / pinball(data.y_test, best),
            "worst_coverage_error": float(np.max(np.abs(below - QUANTILES))),
        }

    def sample(self, trainer, data):
        """Each quantile's promise and what came of it."""
        found = trainer.predict(data.x_test)
        below = np.mean(data.y_test < found, axis=0)
        return "\n".join(
            f"{share:6.1%} of targets lie below the {q:.0%} quantile"
            for q, share in zip(QUANTILES, below, strict=True)
        )


def pinball(y: np.ndarray, quantiles: np.ndarray) -> float:
    """The mean pinball loss: targets [b, 1], quantiles [b, 5]."""
    error = y - quantiles
    return float(np.mean(np.maximum(QUANTILES * error, (np.array(QUANTILES) - 1.0) * error)))
