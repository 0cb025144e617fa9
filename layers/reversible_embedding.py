"""An embedding whose table also gives the logits."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .base import Shape
from .core import dense
from .embedding import Embedding


class ReversibleEmbedding(Embedding):
    """`Embedding` that maps vectors back to logits: `[b, ..., output_dim] -> [b, ..., input_dim]`.

    Press and Wolf 2017.

    Args:
        input_dim: number of rows; indices are 0 to input_dim - 1.
        output_dim: size of each vector.
        tie_weights: whether the way back uses the same table; otherwise it has
            `reverse_embeddings` `[output_dim, input_dim]` of its own.
        embeddings_initializer: of `embeddings`, `[input_dim, output_dim]`.
        embeddings_regularizer: of `embeddings`.
        logit_soft_cap: c in `c tanh(logits / c)`, which bounds the logits; None leaves them.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        logit_soft_cap: float | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            trainable=trainable,
            name=name,
        )
        self.tie_weights = bool(tie_weights)
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Shape) -> None:
        """Creates `embeddings`, and `reverse_embeddings` unless the two are tied."""
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                "reverse_embeddings",
                [self.output_dim, self.input_dim],
                self.embeddings_initializer,
            )

    def call(  # type: ignore[override]
        self, inputs: tf.Tensor, reverse: bool = False, training: bool = False
    ) -> tf.Tensor:
        """Indices `[b, ...] -> [b, ..., output_dim]`; the other way round with `reverse`."""
        if not reverse:
            return super().call(super()._cast_input(inputs, False), training=training)
        kernel = tf.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        logits = dense(tf.cast(inputs, self.compute_dtype), self.cast(kernel))
        if self.logit_soft_cap is None:
            return logits
        cap = tf.cast(self.logit_soft_cap, logits.dtype)
        return cap * tf.tanh(logits / cap)

    def _cast_input(self, value: Any, integers: bool) -> Any:
        # Vectors on their way back are floating; indices are looked at in `call`.
        tensor = tf.convert_to_tensor(value)
        return tensor if tensor.dtype.is_floating else super()._cast_input(tensor, integers)
