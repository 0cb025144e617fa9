"""Depthwise convolutions over one and two axes, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from . import activations
from .base import Layer, Shape
from .core import positive_int
from .empty import with_a_row
from .windows import check_extent, check_window, one_of, sizes


class _DepthwiseConv(Layer):
    """What both share."""

    casts_integers = True
    spatial: int

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
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
        self.bias_initializer = bias_initializer
        self.depthwise_regularizer = depthwise_regularizer
        self.bias_regularizer = bias_regularizer

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel` `[*kernel_size, c, depth_multiplier]` and its `bias`."""
        channels = self.known_axis(input_shape)
        self.kernel = self.add_weight(
            "kernel",
            [*self.kernel_size, channels, self.depth_multiplier],
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                [channels * self.depth_multiplier],
                self.bias_initializer,
                regularizer=self.bias_regularizer,
            )
        self.fix_axes({-1: channels})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, *spatial, c] -> [b, *new spatial, c * depth_multiplier]`."""
        check_extent(self, inputs, self.kernel_size, self.dilation_rate, self.padding)
        y = depthwise(
            inputs, self.cast(self.kernel), self.strides, self.padding.upper(), self.dilation_rate
        )
        if self.bias is not None:
            y = tf.nn.bias_add(y, self.cast(self.bias))
        return self.activation(y)


class DepthwiseConv1D(_DepthwiseConv):
    """A kernel of its own for each channel: `[b, t, c] -> [b, new t, c * multiplier]`.

    Args:
        kernel_size: length of the kernel.
        strides: step of the kernel.
        padding: "valid" or "same".
        depth_multiplier: output channels for each input channel.
        dilation_rate: distance between the kernel's taps.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        depthwise_initializer: of `kernel`, `[kernel_size, c, depth_multiplier]`.
        bias_initializer: of `bias`, `[c * depth_multiplier]`.
        depthwise_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank = 1, 3


class DepthwiseConv2D(_DepthwiseConv):
    """A kernel of its own for each channel: `[b, h, w, c] -> [b, new h, new w, c * multiplier]`.

    Args:
        kernel_size: height and width of the kernel, or one number for both.
        strides: step of the kernel, the same along both axes.
        padding: "valid" or "same".
        depth_multiplier: output channels for each input channel.
        dilation_rate: distance between the kernel's taps.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        depthwise_initializer: of `kernel`, `[h, w, c, depth_multiplier]`.
        bias_initializer: of `bias`, `[c * depth_multiplier]`.
        depthwise_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank = 2, 4


def depthwise(
    x: tf.Tensor,
    kernel: tf.Tensor,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int],
) -> tf.Tensor:
    """A kernel a channel: `[b, *spatial, c] x [*window, c, m] -> [b, *new spatial, c * m]`.

    Over one axis or two; strides are the same along both.
    """
    if x.shape.rank == 3:  # as a row of an image
        y = depthwise(
            tf.expand_dims(x, 1),
            tf.expand_dims(kernel, 0),
            [strides[0]] * 2,
            padding,
            [1, dilations[0]],
        )
        return tf.squeeze(y, 1)

    def convolve(x: tf.Tensor) -> tf.Tensor:
        stepped = [1, *strides, 1]
        return tf.nn.depthwise_conv2d(x, kernel, stepped, padding, dilations=list(dilations))

    return with_a_row(convolve, x)
