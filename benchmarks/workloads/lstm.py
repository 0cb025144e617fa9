"""A recurrent language model over characters."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.data import VOCABULARY, load_text
from benchmarks.workloads.base import Supervised

LENGTH = 64


class Lstm(Supervised):
    """Embedding 64, LSTM 128, Dense over the characters."""

    name = "lstm"
    title = "LSTM on characters"
    batch_size = 64
    epochs = 5
    learning_rate = 3e-3
    expected: ClassVar = {"accuracy": 0.4}
    round_steps = 100

    def data(self, data_dir=None):
        """Characters [b, t], and the next ones [b, t]."""
        return load_text(data_dir, length=LENGTH)

    def model(self):
        """Characters [b, t] -> logits [b, t, k]."""
        import layers

        return layers.Sequential(
            [
                layers.Embedding(VOCABULARY, 64),
                layers.LSTM(128, return_sequences=True),
                layers.Dense(VOCABULARY),
            ]
        )

    def keras_model(self):
        """The same, of Keras."""
        import keras

        return keras.Sequential(
            [
                keras.Input([LENGTH], dtype="int32"),
                keras.layers.Embedding(VOCABULARY, 64),
                keras.layers.LSTM(128, return_sequences=True),
                keras.layers.Dense(VOCABULARY),
            ]
        )
