"""SqueezeExcite: channels weighed by what the whole image shows."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import activations
from .base import Layer, Shape
from .core import dense, positive_int
from .dtypes import at_least_float32


class SqueezeExcite(Layer):
    """Multiplies each channel by a number in (0, 1): `[b, ..., c] -> [b, ..., c]`.

    The numbers come from the means of all channels, through two dense layers. Hu et al. 2017.

    Args:
        ratio: the layer between has `c // ratio` units, at least one.
        activation: of the layer between.
        gate_activation: of the second.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 3

    def __init__(
        self,
        ratio: int = 16,
        *,
        activation: Any = "relu",
        gate_activation: Any = "sigmoid",
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.ratio = positive_int("ratio", ratio)
        self.activation = activations.get(activation)
        self.gate_activation = activations.get(gate_activation)

    def build(self, input_shape: Shape) -> None:
        """Creates a kernel and a bias of each dense layer, `squeeze_...` and `excite_...`."""
        channels = self.known_axis(input_shape)
        between = max(channels // self.ratio, 1)
        self.squeeze_kernel = self.add_weight("squeeze_kernel", [channels, between])
        self.squeeze_bias = self.add_weight("squeeze_bias", [between], "zeros")
        self.excite_kernel = self.add_weight("excite_kernel", [between, channels])
        self.excite_bias = self.add_weight("excite_bias", [channels], "zeros")
        self.fix_axes({-1: channels})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., c] -> [b, ..., c]`."""
        rank = inputs.shape.rank
        means = tf.reduce_mean(at_least_float32(inputs), list(range(1, rank - 1)))  # [b, c]
        x = dense(self.cast(means), self.cast(self.squeeze_kernel), self.cast(self.squeeze_bias))
        x = dense(self.activation(x), self.cast(self.excite_kernel), self.cast(self.excite_bias))
        gates = self.gate_activation(x)
        return inputs * tf.reshape(gates, [-1, *[1] * (rank - 2), gates.shape[-1]])
