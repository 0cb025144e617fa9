"""Workload: one job to train, in two forms that start from the same weights."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from benchmarks.data import Data


class Workload:
    """A model, its data and its settings.

    Attributes:
        name: how the commands call it.
        title: what it trains, in a few words.
        batch_size: rows of a step.
        epochs: passes over the data that reach the expected quality.
        learning_rate: Adam's.
        expected: metric name -> the value that the test split reaches at least (accuracy) or at
            most (loss) after `epochs`; what a reader should see, not a record.
        round_steps: steps of one timed round.
        own_layers: whether `model` is built of this project's layers (else it is the Keras model).
    """

    name: str
    title: str
    batch_size: int
    epochs: int
    learning_rate = 1e-3
    expected: ClassVar[dict[str, float]]
    round_steps: int
    own_layers = True

    def data(self, data_dir: str | os.PathLike[str] | None = None) -> Data:
        """The arrays to train and test on."""
        raise NotImplementedError

    def model(self) -> Any:
        """The model of this project's layers; its weights are in the order of `keras_model`'s."""
        raise NotImplementedError

    def keras_model(self) -> Any:
        """The same model of Keras's layers, built."""
        raise NotImplementedError

    def loss(self) -> Any:
        """This project's loss."""
        import losses

        return losses.SparseCategoricalCrossentropy(from_logits=True)

    def optimizer(self) -> Any:
        """This project's optimizer."""
        import optimizers

        return optimizers.Adam(self.learning_rate)

    def metrics(self) -> list[str]:
        """Names that Keras and the Trainer both understand."""
        return ["accuracy"]

    def keras_loss(self) -> Any:
        """Keras's loss."""
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def keras_optimizer(self) -> Any:
        """Keras's Adam, with the gradients of embeddings made dense first.

        An embedding's gradient has a row per use. Keras's Adam squares each row before it adds them
        up, so a character that occurs n times in a batch moves up to sqrt(n) times too far; for the
        same work by all, the rows are added first.
        """
        import keras
        import tensorflow as tf

        class Adam(keras.optimizers.Adam):
            def apply(self, grads, trainable_variables=None):
                dense = [None if g is None else tf.convert_to_tensor(g) for g in grads]
                return super().apply(dense, trainable_variables)

        return Adam(self.learning_rate)
