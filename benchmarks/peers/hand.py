"""A hand-written GradientTape loop over tf.data, as a careful researcher writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.peers import stream
from benchmarks.peers.base import Peer
from trainer.random import Seeds


class Hand(Peer):
    """One `tf.function` per step; loss and metrics stay on the device until the epoch ends.

    Settings: `stream`, "dataset" only, see `Peer`.
    """

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """The workload's step by hand, the number of the step, and the means of an epoch."""
        self.by_hand = self.workload.by_hand(self.data, weights)
        self.number = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.means: dict[str, Any] = {}
        self.step = tf.function(self._step, reduce_retracing=True)
        self._pipelines: dict[int, tf.data.Dataset] = {}

    def _step(self, *batch: Any) -> None:
        seeds = Seeds(0, self.number)  # of seed 0, as ours
        x = batch if len(batch) > 1 else batch[0]
        rows = tf.shape(tf.nest.flatten(x)[0])[0]
        for name, value in self.by_hand.step(x, seeds).items():
            self._mean(name).update_state(value, rows)
        self.number.assign_add(1)

    def train(self, batches: int | None = None, epochs: int = 1) -> float:
        """The loop."""
        dataset = self._pipeline(self.rows(batches))
        result = 0.0
        for _ in range(epochs):
            self.reset()
            for batch in dataset:
                self.step(*batch)
            result = self.results()["loss"]
        return result

    def reset(self) -> None:
        """Empties the means."""
        for mean in self.means.values():
            mean.reset_state()

    def results(self) -> dict[str, float]:
        """The means; "loss" is the sum of all losses where a step has several."""
        found = {name: float(mean.result()) for name, mean in self.means.items()}
        total = sum(value for name, value in found.items() if name.endswith("loss"))
        return {"loss": total, **found}

    def weights(self) -> list[np.ndarray]:
        """The models' weights."""
        return self.by_hand.get_weights()

    def evaluate(self) -> dict[str, float]:
        """Over the test split, where the workload says how."""
        return self.by_hand.evaluate(self.data)

    def _mean(self, name: str) -> Any:
        import keras

        if name not in self.means:
            with tf.init_scope():
                self.means[name] = keras.metrics.Mean()
        return self.means[name]

    def _pipeline(self, rows: int) -> tf.data.Dataset:
        if rows not in self._pipelines:
            self._pipelines[rows] = self._batches(rows).prefetch(tf.data.AUTOTUNE)
        return self._pipelines[rows]

    def _batches(self, rows: int) -> tf.data.Dataset:
        if "stream" in self.settings:
            size = self.workload.batch_size
            return stream.dataset(self.data, size, rows // size)
        arrays = tuple(array for array in self.data.head(rows) if array is not None)
        dataset = tf.data.Dataset.from_tensor_slices(arrays)
        return dataset.batch(self.workload.batch_size).cache()
