"""Transposed convolutions over one, two and three axes, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from . import activations
from .base import Layer, Shape
from .core import positive_int
from .empty import with_a_row
from .windows import check_window, one_of, sizes


class _ConvTranspose(Layer):
    """What Conv1DTranspose to Conv3DTranspose share."""

    casts_integers = True
    spatial: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        dilation_rate: int | Sequence[int] = 1,
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
        self.kernel_size = sizes("kernel_size", kernel_size, self.spatial)
        self.strides = sizes("strides", strides, self.spatial)
        self.dilation_rate = sizes("dilation_rate", dilation_rate, self.spatial)
        check_window(self.strides, self.dilation_rate)
        self.padding = one_of("padding", padding, ("valid", "same"))
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = sizes("output_padding", output_padding, self.spatial, least=0)
            if any(p >= s for p, s in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    "output_padding must be below strides along each axis, got "
                    f"output_padding={self.output_padding}, strides={self.strides}"
                )
            self._check_same()
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer

    def _check_same(self) -> None:
        """An even window leaves nothing to begin with, so it cannot be padded by nothing."""
        taps = zip(self.kernel_size, self.dilation_rate, self.output_padding or (), strict=True)
        if self.padding == "same" and any(((k - 1) * d + 1) % 2 + p == 0 for k, d, p in taps):
            raise ValueError(
                "with padding='same' an output_padding of 0 needs a window of odd size, got "
                f"output_padding={self.output_padding}, kernel_size={self.kernel_size}, "
                f"dilation_rate={self.dilation_rate}; leave output_padding at None"
            )

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel` `[*kernel_size, filters, c]` and `bias` `[filters]`."""
        channels = self.known_axis(input_shape)
        self.kernel = self.add_weight(
            "kernel",
            [*self.kernel_size, self.filters, channels],
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
        kernel = dilated(self.cast(self.kernel), self.dilation_rate)
        y = with_a_row(lambda x: self._spread(x, kernel), inputs)
        if self.bias is not None:
            y = tf.nn.bias_add(y, self.cast(self.bias))
        return self.activation(y)

    def _spread(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        static = [
            None if size is None else self._new_size(size, axis)
            for axis, size in enumerate(x.shape[1:-1])
        ]
        now = tf.shape(x)
        spatial = [
            self._new_size(now[axis + 1], axis) if size is None else size
            for axis, size in enumerate(static)
        ]
        batch = now[0] if x.shape[0] is None else x.shape[0]
        y = tf.nn.conv_transpose(
            x, kernel, tf.stack([batch, *spatial, self.filters]), self.strides, self.padding.upper()
        )
        return tf.ensure_shape(y, [x.shape[0], *static, self.filters])

    def _new_size(self, size: Any, axis: int) -> Any:
        stride, more = self.strides[axis], self.output_padding
        window = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        if more is None:
            same = self.padding == "same"
            return size * stride if same else (size - 1) * stride + max(window, stride)
        least = window % 2 if self.padding == "same" else window
        return (size - 1) * stride + least + more[axis]


class Conv1DTranspose(_ConvTranspose):
    """The gradient of `Conv1D` as a layer: `[b, t, c] -> [b, new t, filters]`.

    Zeiler et al. 2010. Each input value spreads the kernel over the output; a "valid" output has
    `(size - 1) * stride + window` values along an axis (`window = (kernel_size - 1) *
    dilation_rate + 1`, or the stride if that is more), a "same" one `size * stride`.

    Args:
        filters: number of output channels.
        kernel_size: length of the kernel.
        strides: distance between the places of two input values in the output; only one of strides
            and dilation_rate may exceed 1.
        padding: "valid" or "same".
        output_padding: None, or below the stride: how many values the output has more than the
            fewest that "valid" or "same" windows of a `Conv1D` would bring back to the input's
            size.
        dilation_rate: distance between the kernel's taps.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[kernel_size, filters, c]`.
        bias_initializer: of `bias`, `[filters]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank = 1, 3


class Conv2DTranspose(_ConvTranspose):
    """The gradient of `Conv2D` as a layer: `[b, h, w, c] -> [b, new h, new w, filters]`.

    Zeiler et al. 2010. Each input value spreads the kernel over the output; a "valid" output has
    `(size - 1) * stride + window` values along an axis (`window = (kernel_size - 1) *
    dilation_rate + 1`, or the stride if that is more), a "same" one `size * stride`.

    Args:
        filters: number of output channels.
        kernel_size: height and width of the kernel, or one number for both.
        strides: distance between the places of two input values in the output; only one of strides
            and dilation_rate may exceed 1.
        padding: "valid" or "same".
        output_padding: None, or below the stride: how many values the output has more than the
            fewest that "valid" or "same" windows of a `Conv2D` would bring back to the input's
            size.
        dilation_rate: distance between the kernel's taps.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[h, w, filters, c]`.
        bias_initializer: of `bias`, `[filters]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank = 2, 4


class Conv3DTranspose(_ConvTranspose):
    """The gradient of `Conv3D` as a layer: `[b, d, h, w, c] -> [b, new d, new h, new w, filters]`.

    Zeiler et al. 2010. Each input value spreads the kernel over the output; a "valid" output has
    `(size - 1) * stride + window` values along an axis (`window = (kernel_size - 1) *
    dilation_rate + 1`, or the stride if that is more), a "same" one `size * stride`.

    Args:
        filters: number of output channels.
        kernel_size: depth, height and width of the kernel, or one number for all.
        strides: distance between the places of two input values in the output; only one of strides
            and dilation_rate may exceed 1.
        padding: "valid" or "same".
        output_padding: None, or below the stride: how many values the output has more than the
            fewest that "valid" or "same" windows of a `Conv3D` would bring back to the input's
            size.
        dilation_rate: distance between the kernel's taps.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[d, h, w, filters, c]`.
        bias_initializer: of `bias`, `[filters]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank = 3, 5


def dilated(kernel: tf.Tensor, rates: Sequence[int]) -> tf.Tensor:
    """A kernel with `rate - 1` zeros between its taps along each axis: `[*window, ...]`."""
    for axis, rate in enumerate(rates):
        if rate > 1:
            size = kernel.shape[axis]
            around = [[0, 0]] * (kernel.shape.rank + 1)
            around[axis + 1] = [0, rate - 1]
            spread = tf.pad(tf.expand_dims(kernel, axis + 1), around)
            shape = [*kernel.shape[:axis], size * rate, *kernel.shape[axis + 1 :]]
            kernel = tf.split(tf.reshape(spread, shape), [(size - 1) * rate + 1, rate - 1], axis)[0]
    return kernel
