"""A small GPT over characters: two pre-norm transformer blocks with causal attention."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.data import VOCABULARY
from benchmarks.workloads.characters import LENGTH, Characters

WIDTH = 128
HEADS = 4
BLOCKS = 2


class Gpt(Characters):
    """Two blocks, 128 wide, 4 heads, a context of 64 characters."""

    name = "gpt"
    title = "GPT on characters"
    batch_size = 32
    epochs = 5
    learning_rate = 1e-3
    expected: ClassVar = {"accuracy": 0.58, "bits_per_character": 2.25}
    round_steps = 75

    def model(self):
        """Characters [b, t] -> logits [b, t, k]."""
        import layers

        blocks = [layers.TransformerBlock(HEADS, 4 * WIDTH, causal=True) for _ in range(BLOCKS)]
        positions = layers.PositionEmbedding(LENGTH, initializer="zeros")
        return layers.CausalTransformer(VOCABULARY, WIDTH, blocks=blocks, positions=positions)

    def generator(self, model):
        """Keeps the keys and values of earlier characters; as long as the model has positions."""
        import layers

        return layers.Generator(model, LENGTH, temperature=0.5)

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
