"""Convolutions over one, two and three axes, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from . import activations
from .base import Layer, Shape
from .core import positive_int
from .depthwise_conv import depthwise
from .empty import with_a_row
from .windows import check_extent, check_window, one_of, sizes


class _Conv(Layer):
    """What Conv1D to Conv3D share; `spatial` is the number of axes the kernel slides along."""

    casts_integers = True
    spatial: int
    paddings: tuple[str, ...] = ("valid", "same")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.filters = positive_int("filters", filters)
        self.groups = positive_int("groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"filters must be divisible by groups, got filters={filters}, groups={groups}"
            )
        self.kernel_size = sizes("kernel_size", kernel_size, self.spatial)
        self.strides = sizes("strides", strides, self.spatial)
        self.dilation_rate = sizes("dilation_rate", dilation_rate, self.spatial)
        check_window(self.strides, self.dilation_rate)
        self.padding = one_of("padding", padding, self.paddings)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel` `[*kernel_size, c / groups, filters]` and `bias` `[filters]`."""
        channels = self.known_axis(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"{self._label()} splits its input channels in groups={self.groups}, but the input "
                f"has {channels}; they must be divisible by groups"
            )
        self.kernel = self.add_weight(
            "kernel",
            [*self.kernel_size, channels // self.groups, self.filters],
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", [self.filters], self.bias_initializer, regularizer=self.bias_regularizer
            )
        self.fix_axes({-1: channels})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, *spatial, c] -> [b, *new spatial, filters]`."""
        x, padding = inputs, self.padding
        if padding == "causal":
            before = (self.kernel_size[0] - 1) * self.dilation_rate[0]
            x, padding = tf.pad(x, [[0, 0], [before, 0], [0, 0]]), "valid"
        check_extent(self, x, self.kernel_size, self.dilation_rate, padding)
        kernel = self.cast(self.kernel)
        y = with_a_row(lambda x: self._convolve(x, kernel, padding.upper()), x)
        if self.bias is not None:
            y = tf.nn.bias_add(y, self.cast(self.bias))
        return self.activation(y)

    def _convolve(self, x: tf.Tensor, kernel: tf.Tensor, padding: str) -> tf.Tensor:
        def convolve(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
            # Without its format, the gradient over three axes fails in eager mode.
            return tf.nn.convolution(
                x,
                kernel,
                self.strides,
                padding,
                data_format=("NWC", "NHWC", "NDHWC")[self.spatial - 1],
                dilations=list(self.dilation_rate),
            )

        if self.groups == 1:
            return convolve(x, kernel)
        if self.groups == x.shape[-1] and self.spatial == 2 and len(set(self.strides)) == 1:
            shape = [*self.kernel_size, self.groups, self.filters // self.groups]
            return depthwise(
                x, tf.reshape(kernel, shape), self.strides, padding, self.dilation_rate
            )
        # The grouped kernel has no gradient on CPU outside XLA, so each group is its own.
        parts = zip(tf.split(x, self.groups, -1), tf.split(kernel, self.groups, -1), strict=True)
        return tf.concat([convolve(a, k) for a, k in parts], -1)


class Conv1D(_Conv):
    """Convolution along time: `[b, t, c] -> [b, new t, filters]`.

    Args:
        filters: number of output channels.
        kernel_size: length of the kernel.
        strides: step of the kernel; only one of strides and dilation_rate may exceed 1.
        padding: "valid", "same", or "causal" (zeros before the start, so no output sees the
            future).
        dilation_rate: distance between the kernel's taps.
        groups: number of groups the channels are split in.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[kernel_size, c / groups, filters]`.
        bias_initializer: of `bias`, `[filters]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial = 1
    input_rank = 3
    paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """Convolution over images: `[b, h, w, c] -> [b, new h, new w, filters]`.

    Args:
        filters: number of output channels.
        kernel_size: height and width of the kernel, or one number for both.
        strides: step of the kernel; only one of strides and dilation_rate may exceed 1.
        padding: "valid" or "same".
        dilation_rate: distance between the kernel's taps.
        groups: number of groups the channels are split in.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[h, w, c / groups, filters]`.
        bias_initializer: of `bias`, `[filters]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial = 2
    input_rank = 4


class Conv3D(_Conv):
    """Convolution over volumes: `[b, d, h, w, c] -> [b, new d, new h, new w, filters]`.

    Args:
        filters: number of output channels.
        kernel_size: depth, height and width of the kernel, or one number for all.
        strides: step of the kernel; only one of strides and dilation_rate may exceed 1.
        padding: "valid" or "same".
        dilation_rate: distance between the kernel's taps.
        groups: number of groups the channels are split in.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[d, h, w, c / groups, filters]`.
        bias_initializer: of `bias`, `[filters]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial = 3
    input_rank = 5
