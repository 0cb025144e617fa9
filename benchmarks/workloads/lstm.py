"""A recurrent language model over characters."""

from __future__ import annotations

from typing import Any, ClassVar

from benchmarks.data import VOCABULARY
from benchmarks.workloads.characters import LENGTH, Characters

UNITS = 128


class Lstm(Characters):
    """Embedding 64, LSTM 128, Dense over the characters."""

    name = "lstm"
    title = "LSTM on characters"
    batch_size = 64
    epochs = 5
    learning_rate = 3e-3
    expected: ClassVar = {"accuracy": 0.5, "bits_per_character": 2.5}
    round_steps = 100

    def model(self):
        """Characters [b, t] -> logits [b, t, k]."""
        import layers

        return layers.Sequential(
            [
                layers.Embedding(VOCABULARY, 64),
                layers.LSTM(UNITS, return_sequences=True),
                layers.Dense(VOCABULARY),
            ]
        )

    def generator(self, model):
        """Keeps the LSTM's states, so texts may be of any length."""
        import layers

        return layers.Generator(Continued(model), 200, temperature=0.5)

    def keras_model(self):
        """The same, of Keras."""
        import keras

        return keras.Sequential(
            [
                keras.Input([LENGTH], dtype="int32"),
                keras.layers.Embedding(VOCABULARY, 64),
                keras.layers.LSTM(UNITS, return_sequences=True),
                keras.layers.Dense(VOCABULARY),
            ]
        )


class Continued:
    """The trained model as `layers.Generator` asks for it: its cache are the LSTM's two states."""

    def __init__(self, model: Any) -> None:
        import layers

        self.embedding, trained, self.head = model.layers
        self.lstm = layers.LSTM(UNITS, return_sequences=True, return_state=True)
        self.lstm.build((None, None, self.embedding.output_dim))
        self.lstm.set_weights(trained.get_weights())

    def new_cache(self, batch: int, length: int) -> Any:
        """States h and c before the first character, [b, u] each."""
        import tensorflow as tf

        return tf.zeros([batch, UNITS]), tf.zeros([batch, UNITS])

    def __call__(self, tokens: Any, *, cache: Any, index: Any) -> Any:
        """Characters [b, t] -> logits [b, t, k] and the states after them."""
        y, *states = self.lstm(self.embedding(tokens), initial_state=list(cache))
        return self.head(y), tuple(states)
