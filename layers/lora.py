"""LoRA: a frozen layer with a trained change of low rank."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .core import Dense, dense, positive_int


class LoRA(Layer):
    """A frozen dense layer plus `alpha / rank * x A B`: `[b, ..., d] -> [b, ..., units]`.

    Hu et al. 2021. B starts as zeros, so that the layer starts as the frozen one. Give the built
    layer of a trained model, and put this in its place; `merge` puts the change back into it.

    Args:
        layer: a `Dense`; it is frozen.
        rank: of the change, columns of A.
        alpha: how much the change counts, by default rank.
        kernel_initializer: of A.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        layer: Dense,
        rank: int,
        *,
        alpha: float | None = None,
        kernel_initializer: Any = "he_uniform",
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if not isinstance(layer, Dense):
            raise TypeError(f"layer must be a Dense, got {layer!r}")
        self.rank = positive_int("rank", rank)
        self.alpha = alpha
        self.kernel_initializer = kernel_initializer
        self.layer = layer
        layer.trainable = False

    def build(self, input_shape: Shape) -> None:
        """Creates `lora_a` `[d, rank]` and `lora_b` `[rank, units]`."""
        d = self.known_axis(input_shape)
        if not self.layer.built:
            self.layer.build(input_shape)
        self.lora_a = self.add_weight("lora_a", [d, self.rank], self.kernel_initializer)
        self.lora_b = self.add_weight("lora_b", [self.rank, self.layer.units], "zeros")
        self.fix_axes({-1: d})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., d] -> [b, ..., units]`."""
        layer = self.layer
        y = dense(inputs, self.cast(layer.kernel), self.cast(layer.bias))
        change = dense(dense(inputs, self.cast(self.lora_a)), self.cast(self.lora_b))
        return layer.activation(y + self._weight() * change)

    def merge(self) -> Dense:
        """Adds the change to the frozen layer's kernel, sets it to zero, and returns the layer."""
        change = self._weight() * tf.matmul(self.lora_a, self.lora_b)
        self.layer.kernel.assign_add(change)
        self.lora_b.assign(tf.zeros_like(self.lora_b))
        return self.layer

    def _weight(self) -> float:
        return 1.0 if self.alpha is None else self.alpha / self.rank
