"""A small GPT over characters: two pre-norm transformer blocks with causal attention."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.data import VOCABULARY, load_text
from benchmarks.workloads.base import Supervised

LENGTH = 64
WIDTH = 128
HEADS = 4
BLOCKS = 2


class Gpt(Supervised):
    """Two blocks, 128 wide, 4 heads, a context of 64 characters."""

    name = "gpt"
    title = "GPT on characters"
    batch_size = 32
    epochs = 5
    learning_rate = 1e-3
    expected: ClassVar = {"accuracy": 0.45}
    round_steps = 75

    def data(self, data_dir=None):
        """Characters [b, t], and the next ones [b, t]."""
        return load_text(data_dir, length=LENGTH)

    def model(self):
        """Characters [b, t] -> logits [b, t, k]."""
        import layers

        blocks = [layers.TransformerBlock(HEADS, 4 * WIDTH, causal=True) for _ in range(BLOCKS)]
        positions = layers.PositionEmbedding(LENGTH, initializer="zeros")
        return layers.CausalTransformer(VOCABULARY, WIDTH, blocks=blocks, positions=positions)

    def keras_model(self):
        """The same, of Keras."""
        import keras

        class Positions(keras.layers.Layer):
            """Adds a learned vector per position."""

            def build(self, input_shape):
                self.table = self.add_weight(shape=[LENGTH, WIDTH], initializer="zeros")

            def call(self, x):
                return x + self.table

        def block(x):
            y = keras.layers.LayerNormalization()(x)
            x = x + keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(
                y, y, use_causal_mask=True
            )
            y = keras.layers.LayerNormalization()(x)
            y = keras.layers.Dense(4 * WIDTH, activation="gelu")(y)
            return x + keras.layers.Dense(WIDTH)(y)

        characters = keras.Input([LENGTH], dtype="int32")
        x = keras.layers.Embedding(VOCABULARY, WIDTH)(characters)
        x = Positions()(x)
        for _ in range(BLOCKS):
            x = block(x)
        x = keras.layers.LayerNormalization()(x)
        return keras.Model(characters, keras.layers.Dense(VOCABULARY)(x))
