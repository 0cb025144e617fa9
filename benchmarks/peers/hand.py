"""A hand-written GradientTape loop over tf.data, as a careful researcher writes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from benchmarks.peers.base import Peer


class Hand(Peer):
    """One `tf.function` per step; loss and accuracy stay on the device until the epoch ends."""

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """Model, optimizer, metrics, and the two compiled functions."""
        import keras

        self.model = self.workload.keras_model()
        self.model.set_weights(weights)
        self.loss_fn = self.workload.keras_loss()
        self.optimizer = self.workload.keras_optimizer()
        self.optimizer.build(self.model.trainable_variables)
        self.loss = keras.metrics.Mean()
        self.accuracy = keras.metrics.SparseCategoricalAccuracy()
        self.step = tf.function(self._step, reduce_retracing=True)
        self._pipelines: dict[int, tf.data.Dataset] = {}

    def _step(self, x, y):
        with tf.GradientTape() as tape:
            logits = self.model(x, training=True)
            loss = self.loss_fn(y, logits)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.loss.update_state(loss, tf.shape(x)[0])
        self.accuracy.update_state(y, logits)

    def train(self, batches: int | None = None, epochs: int = 1) -> float:
        """The loop."""
        dataset = self._pipeline(self.rows(batches))
        result = 0.0
        for _ in range(epochs):
            self.loss.reset_state()
            self.accuracy.reset_state()
            for x, y in dataset:
                self.step(x, y)
            result = float(self.loss.result())
            float(self.accuracy.result())
        return result

    def weights(self) -> list[np.ndarray]:
        """The model's weights."""
        return self.model.get_weights()

    def evaluate(self) -> dict[str, float]:
        """Over the test split, in batches of 256."""
        self.loss.reset_state()
        self.accuracy.reset_state()
        for x, y in tf.data.Dataset.from_tensor_slices((self.data.x_test, self.data.y_test)).batch(
            256
        ):
            logits = self.model(x, training=False)
            self.loss.update_state(self.loss_fn(y, logits), len(x))
            self.accuracy.update_state(y, logits)
        return {"loss": float(self.loss.result()), "accuracy": float(self.accuracy.result())}

    def _pipeline(self, rows: int) -> tf.data.Dataset:
        if rows not in self._pipelines:
            x, y = self.data.x_train[:rows], self.data.y_train[:rows]
            self._pipelines[rows] = (
                tf.data.Dataset.from_tensor_slices((x, y))
                .batch(self.workload.batch_size)
                .cache()
                .prefetch(tf.data.AUTOTUNE)
            )
        return self._pipelines[rows]
