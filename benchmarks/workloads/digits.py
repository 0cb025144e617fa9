"""A small MLP on 8x8 digits: the data is part of the repository, training takes seconds."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.data import load_digits
from benchmarks.workloads.base import Supervised


class Digits(Supervised):
    """Flatten, Dense 64 relu, Dense 10, on the 1,797 digits of UCI."""

    name = "digits"
    title = "MLP on 8x8 handwritten digits"
    batch_size = 32
    epochs = 30
    expected: ClassVar = {"accuracy": 0.95}
    round_steps = 2000

    def data(self, data_dir=None):
        """Images [b, 8, 8] in [0, 1] and labels [b]; `data_dir` is not needed."""
        return load_digits()

    def model(self):
        """Images [b, 8, 8] -> logits [b, 10]."""
        import layers

        return layers.Sequential(
            [layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10)]
        )

    def keras_model(self):
        """The same, of Keras."""
        import keras

        return keras.Sequential(
            [
                keras.Input([8, 8]),
                keras.layers.Flatten(),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dense(10),
            ]
        )
