"""Embedding: a learnt vector for each index."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .core import positive_int


class Embedding(Layer):
    """Rows of a learnt table: integers `[b, ...] -> [b, ..., output_dim]`.

    Indices may be integers, or float32 and float64 whole numbers (as data files often hold them);
    16-bit floats are refused, since they cannot hold indices beyond a few hundred. The gradient of
    the table is `tf.IndexedSlices`.

    Args:
        input_dim: number of rows; indices are 0 to input_dim - 1.
        output_dim: size of each vector.
        embeddings_initializer: of `embeddings`, `[input_dim, output_dim]`.
        embeddings_regularizer: of `embeddings`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    min_rank = 1

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.input_dim = positive_int("input_dim", input_dim)
        self.output_dim = positive_int("output_dim", output_dim)
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer = embeddings_regularizer

    def build(self, input_shape: Shape) -> None:
        """Creates `embeddings` `[input_dim, output_dim]`."""
        self.embeddings = self.add_weight(
            "embeddings",
            [self.input_dim, self.output_dim],
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ..., output_dim]`."""
        return self.cast(tf.gather(self.embeddings, inputs))

    def _cast_input(self, value: Any, integers: bool) -> Any:
        # Never through the compute dtype: bfloat16 would turn index 257 into 256.
        indices = tf.convert_to_tensor(value)
        if indices.dtype in (tf.bfloat16, tf.float16):
            raise TypeError(
                f"{self._label()} takes integer indices, got {indices.dtype.name}, which cannot "
                "hold them exactly; feed integers"
            )
        wide = indices.dtype in (tf.int32, tf.int64)
        numeric = indices.dtype.is_floating or indices.dtype.is_integer
        return tf.cast(indices, tf.int32) if numeric and not wide else indices
