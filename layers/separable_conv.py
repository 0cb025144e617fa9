"""Separable convolutions over one and two axes, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from . import activations
from .base import Layer, Shape
from .core import dense, positive_int
from .depthwise_conv import depthwise
from .windows import check_extent, check_window, one_of, sizes


class _SeparableConv(Layer):
    """What both share."""

    casts_integers = True
    spatial: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.filters = positive_int("filters", filters)
        self.kernel_size = sizes("kernel_size", kernel_size, self.spatial)
        self.strides = sizes("strides", strides, self.spatial)
        self.dilation_rate = sizes("dilation_rate", dilation_rate, self.spatial)
        check_window(self.strides, self.dilation_rate)
        if len(set(self.strides)) > 1:
            raise ValueError(f"strides must be the same along both axes, got {self.strides}")
        self.padding = one_of("padding", padding, ("valid", "same"))
        self.depth_multiplier = positive_int("depth_multiplier", depth_multiplier)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.depthwise_initializer = depthwise_initializer
        self.pointwise_initializer = pointwise_initializer
        self.bias_initializer = bias_initializer
        self.depthwise_regularizer = depthwise_regularizer
        self.pointwise_regularizer = pointwise_regularizer
        self.bias_regularizer = bias_regularizer

    def build(self, input_shape: Shape) -> None:
        """Creates `depthwise_kernel`, `pointwise_kernel` and `bias` `[filters]`."""
        channels = self.known_axis(input_shape)
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel",
            [*self.kernel_size, channels, self.depth_multiplier],
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
        )
        self.pointwise_kernel = self.add_weight(
            "pointwise_kernel",
            [*[1] * self.spatial, channels * self.depth_multiplier, self.filters],
            self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", [self.filters], self.bias_initializer, regularizer=self.bias_regularizer
            )
        self.fix_axes({-1: channels})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, *spatial, c] -> [b, *new spatial, filters]`."""
        check_extent(self, inputs, self.kernel_size, self.dilation_rate, self.padding)
        y = depthwise(
            inputs,
            self.cast(self.depthwise_kernel),
            self.strides,
            self.padding.upper(),
            self.dilation_rate,
        )
        # A convolution with windows of one is a matrix product of each position.
        kernel = tf.reshape(self.pointwise_kernel, self.pointwise_kernel.shape[-2:])
        return self.activation(dense(y, self.cast(kernel), self.cast(self.bias)))


class SeparableConv1D(_SeparableConv):
    """A depthwise convolution, then one over the channels: `[b, t, c] -> [b, new t, filters]`.

    Chollet 2016.

    Args:
        filters: number of output channels.
        kernel_size: length of the kernel.
        strides: step of the kernel.
        padding: "valid" or "same".
        dilation_rate: distance between the kernel's taps.
        depth_multiplier: channels between the two convolutions for each input channel.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        depthwise_initializer: of `depthwise_kernel`, `[kernel_size, c, depth_multiplier]`.
        pointwise_initializer: of `pointwise_kernel`, `[1, c * depth_multiplier, filters]`.
        bias_initializer: of `bias`, `[filters]`.
        depthwise_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        pointwise_regularizer: the same for the pointwise kernel.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank = 1, 3


class SeparableConv2D(_SeparableConv):
    """A depthwise convolution, then one over the channels. Chollet 2016.

    `[b, h, w, c] -> [b, new h, new w, filters]`.

    Args:
        filters: number of output channels.
        kernel_size: height and width of the kernel, or one number for both.
        strides: step of the kernel, the same along both axes.
        padding: "valid" or "same".
        dilation_rate: distance between the kernel's taps.
        depth_multiplier: channels between the two convolutions for each input channel.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        depthwise_initializer: of `depthwise_kernel`, `[h, w, c, depth_multiplier]`.
        pointwise_initializer: of `pointwise_kernel`, `[1, 1, c * depth_multiplier, filters]`.
        bias_initializer: of `bias`, `[filters]`.
        depthwise_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        pointwise_regularizer: the same for the pointwise kernel.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank = 2, 4
