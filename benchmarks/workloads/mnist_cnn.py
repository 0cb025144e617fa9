"""A small convolutional network: on a CPU its steps are long, and XLA does not help."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from benchmarks.data import load_mnist
from benchmarks.workloads.base import Supervised


class MnistCnn(Supervised):
    """Two convolutions with pooling and a dense layer, on MNIST."""

    name = "mnist_cnn"
    title = "CNN on MNIST"
    batch_size = 128
    epochs = 3
    expected: ClassVar = {"accuracy": 0.98}
    round_steps = 150

    def data(self, data_dir=None):
        """Images [b, 28, 28, 1] in [0, 1] and labels [b]."""
        data = load_mnist(data_dir)
        return dataclasses.replace(
            data, x_train=data.x_train[..., None], x_test=data.x_test[..., None]
        )

    def model(self):
        """Images [b, 28, 28, 1] -> logits [b, 10]."""
        import layers

        return layers.Sequential(
            [
                layers.Conv2D(32, 3, activation="relu"),
                layers.MaxPooling2D(),
                layers.Conv2D(64, 3, activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(10),
            ]
        )

    def keras_model(self):
        """The same, of Keras."""
        import keras

        return keras.Sequential(
            [
                keras.Input([28, 28, 1]),
                keras.layers.Conv2D(32, 3, activation="relu"),
                keras.layers.MaxPooling2D(),
                keras.layers.Conv2D(64, 3, activation="relu"),
                keras.layers.MaxPooling2D(),
                keras.layers.Flatten(),
                keras.layers.Dense(10),
            ]
        )
