"""The MLP of every first tutorial: its steps are so small that the loop decides the speed."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.data import load_mnist
from benchmarks.workloads.base import Supervised


class Mnist(Supervised):
    """Flatten, Dense 128 relu, Dense 10, on MNIST."""

    name = "mnist"
    title = "MLP on MNIST"
    batch_size = 32
    epochs = 5
    expected: ClassVar = {"accuracy": 0.97}
    round_steps = 3750

    def data(self, data_dir=None):
        """Images [b, 28, 28] in [0, 1] and labels [b]."""
        return load_mnist(data_dir)

    def model(self):
        """Images [b, 28, 28] -> logits [b, 10]."""
        import layers

        return layers.Sequential(
            [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)]
        )

    def keras_model(self):
        """The same, of Keras."""
        import keras

        return keras.Sequential(
            [
                keras.Input([28, 28]),
                keras.layers.Flatten(),
                keras.layers.Dense(128, activation="relu"),
                keras.layers.Dense(10),
            ]
        )
