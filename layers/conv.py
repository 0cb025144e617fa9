"""Convolutions over one and two axes, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from . import activations
from .base import Layer, Shape
from .core import positive_int


class _Conv(Layer):
    """What Conv1D and Conv2D share; `spatial` is the number of axes the kernel slides along."""

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
        y = self._convolve(x, self.cast(self.kernel), padding.upper())
        if self.bias is not None:
            y = tf.nn.bias_add(y, self.cast(self.bias))
        return self.activation(y)

    def _convolve(self, x: tf.Tensor, kernel: tf.Tensor, padding: str) -> tf.Tensor:
        def convolve(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
            return tf.nn.convolution(
                x, kernel, self.strides, padding, dilations=list(self.dilation_rate)
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


class DepthwiseConv2D(Layer):
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

    casts_integers = True
    input_rank = 4

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
        self.kernel_size = sizes("kernel_size", kernel_size, 2)
        self.strides = sizes("strides", strides, 2)
        self.dilation_rate = sizes("dilation_rate", dilation_rate, 2)
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
        """Creates `kernel` `[h, w, c, depth_multiplier]` and `bias` `[c * depth_multiplier]`."""
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
        """`[b, h, w, c] -> [b, new h, new w, c * depth_multiplier]`."""
        check_extent(self, inputs, self.kernel_size, self.dilation_rate, self.padding)
        y = depthwise(
            inputs, self.cast(self.kernel), self.strides, self.padding.upper(), self.dilation_rate
        )
        if self.bias is not None:
            y = tf.nn.bias_add(y, self.cast(self.bias))
        return self.activation(y)


def depthwise(
    x: tf.Tensor,
    kernel: tf.Tensor,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int],
) -> tf.Tensor:
    """Depthwise convolution: `[b, h, w, c] x [kh, kw, c, m] -> [b, new h, new w, c * m]`."""
    return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], padding, dilations=list(dilations))


def sizes(argument: str, value: int | Sequence[int], n: int) -> tuple[int, ...]:
    """`value` as n positive integers."""
    values = (value,) * n if isinstance(value, int) else tuple(value)
    if len(values) != n:
        raise ValueError(f"{argument} must be one positive integer or {n} of them, got {value!r}")
    return tuple(positive_int(argument, v) for v in values)


def one_of(argument: str, value: str, allowed: Sequence[str]) -> str:
    """`value` in lower case, if it is allowed."""
    if not isinstance(value, str) or value.lower() not in allowed:
        raise ValueError(f"{argument} must be one of {list(allowed)}, got {value!r}")
    return value.lower()


def check_window(strides: Sequence[int], dilation_rate: Sequence[int]) -> None:
    """Raises if a window both strides and dilates."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            "only one of strides and dilation_rate may exceed 1, got "
            f"strides={tuple(strides)}, dilation_rate={tuple(dilation_rate)}"
        )


def check_extent(
    layer: Layer, x: tf.Tensor, window: Sequence[int], dilation: Sequence[int], padding: str
) -> None:
    """Raises if a window without padding is larger than the input."""
    if padding != "valid":
        return
    for size, k, d in zip(x.shape[1:-1], window, dilation, strict=True):
        reach = (k - 1) * d + 1
        if size is not None and size < reach:
            raise ValueError(
                f"{layer._label()} slides a window that spans {reach} over an axis of size {size} "
                f"(input shape {x.shape}); use padding='same', a smaller window or a larger input"
            )
