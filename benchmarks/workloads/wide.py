"""A wide MLP on random numbers: its state is large, and its steps are compute-bound."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from benchmarks.data import Data
from benchmarks.workloads.base import Supervised


class Wide(Supervised):
    """Dense layers of 2048 units: 17 million weights, 202 MB of state with Adam's two slots.

    There is nothing to learn: it is trained for what its steps and its checkpoints cost. All sizes
    are attributes that a command may set otherwise.
    """

    name = "wide"
    title = "MLP with 17 million weights"
    batch_size = 64
    epochs = 1
    learning_rate = 1e-4
    expected: ClassVar = {}
    round_steps = 200
    features = 64
    units = 2048
    hidden = 5
    rows = 6400
    metric_count = None  # so many plain functions; None: accuracy

    def data(self, data_dir=None):
        """Normal rows [b, features] and labels [b]; `data_dir` is not needed."""
        rng = np.random.default_rng(0)

        def part(rows):
            x = rng.standard_normal((rows, self.features), np.float32)
            return x, rng.integers(0, 10, rows).astype(np.int32)

        return Data(*part(self.rows), *part(256))

    def model(self):
        """Rows [b, features] -> logits [b, 10]."""
        import layers

        hidden = [layers.Dense(self.units, activation="relu") for _ in range(self.hidden)]
        return layers.Sequential([*hidden, layers.Dense(10)])

    def keras_model(self):
        """The same, of Keras."""
        import keras

        hidden = [keras.layers.Dense(self.units, activation="relu") for _ in range(self.hidden)]
        return keras.Sequential([keras.Input([self.features]), *hidden, keras.layers.Dense(10)])

    def metrics(self):
        """Accuracy, or as many functions as are asked for."""
        count = self.metric_count
        return super().metrics() if count is None else [within(k) for k in range(count)]

    def keras_optimizer(self):
        """Keras's own Adam, which `keras.saving` finds again; there is no embedding here."""
        import keras

        return keras.optimizers.Adam(self.learning_rate)


def within(distance):
    """A metric: whether the class told is at most so far from the true one, [b]."""
    import tensorflow as tf

    def metric(y_true, y_pred):
        told = tf.argmax(y_pred, -1, tf.int32)
        true = tf.reshape(tf.cast(y_true, tf.int32), tf.shape(told))
        return tf.cast(tf.abs(told - true) <= distance, tf.float32)

    metric.__name__ = f"within_{distance}"
    return metric
