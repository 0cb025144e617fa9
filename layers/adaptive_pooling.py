"""Pools that give an output of a fixed size, whatever the input's; channels last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from .base import Layer
from .dtypes import at_least_float32
from .windows import sizes


class _Adaptive(Layer):
    """What they share. A pool over a box is one along each of its edges in turn."""

    casts_integers = True
    spatial: int
    kind: str

    def __init__(
        self, output_size: int | Sequence[int], *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.output_size = sizes("output_size", output_size, self.spatial)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, *spatial, c] -> [b, *output_size, c]`, means taken in float32."""
        x = inputs if self.kind == "max" else at_least_float32(inputs)
        pool = maximum_along if self.kind == "max" else mean_along
        for axis, n in enumerate(self.output_size, start=1):
            x = pool(x, axis, edges(self.known_axis(inputs.shape, axis), n))
        return tf.cast(x, inputs.dtype)


class AdaptiveMaxPooling1D(_Adaptive):
    """Maximum over a number of windows of time: `[b, t, c] -> [b, output_size, c]`.

    Window i of n over an axis of size s goes from `floor(i * s / n)` to `ceil((i + 1) * s / n)`.

    Args:
        output_size: number of windows.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 1, 3, "max"


class AdaptiveMaxPooling2D(_Adaptive):
    """Maximum over a number of windows of the image: `[b, h, w, c] -> [b, *output_size, c]`.

    Window i of n over an axis of size s goes from `floor(i * s / n)` to `ceil((i + 1) * s / n)`.

    Args:
        output_size: number of windows along each axis, or one number for all.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 2, 4, "max"


class AdaptiveMaxPooling3D(_Adaptive):
    """Maximum over windows of the volume: `[b, d, h, w, c] -> [b, *output_size, c]`.

    Window i of n over an axis of size s goes from `floor(i * s / n)` to `ceil((i + 1) * s / n)`.

    Args:
        output_size: number of windows along each axis, or one number for all.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 3, 5, "max"


class AdaptiveAveragePooling1D(_Adaptive):
    """Mean over a number of windows of time: `[b, t, c] -> [b, output_size, c]`.

    Window i of n over an axis of size s goes from `floor(i * s / n)` to `ceil((i + 1) * s / n)`.

    Args:
        output_size: number of windows.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 1, 3, "average"


class AdaptiveAveragePooling2D(_Adaptive):
    """Mean over a number of windows of the image: `[b, h, w, c] -> [b, *output_size, c]`.

    Window i of n over an axis of size s goes from `floor(i * s / n)` to `ceil((i + 1) * s / n)`.

    Args:
        output_size: number of windows along each axis, or one number for all.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 2, 4, "average"


class AdaptiveAveragePooling3D(_Adaptive):
    """Mean over windows of the volume: `[b, d, h, w, c] -> [b, *output_size, c]`.

    Window i of n over an axis of size s goes from `floor(i * s / n)` to `ceil((i + 1) * s / n)`.

    Args:
        output_size: number of windows along each axis, or one number for all.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 3, 5, "average"


def edges(size: int, n: int) -> list[tuple[int, int]]:
    """The start and end of each of n windows that cover an axis of this size."""
    return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


def mean_along(x: tf.Tensor, axis: int, windows: list[tuple[int, int]]) -> tf.Tensor:
    """The mean of each window of one axis, as a product with a matrix of weights."""
    weights = np.zeros([len(windows), x.shape[axis]])
    for row, (start, end) in zip(weights, windows, strict=True):
        row[start:end] = 1 / (end - start)
    means = tf.tensordot(tf.constant(weights, x.dtype), x, [[1], [axis]])  # windows first
    order = [*range(1, axis + 1), 0, *range(axis + 1, x.shape.rank)]
    return tf.transpose(means, order)


def maximum_along(x: tf.Tensor, axis: int, windows: list[tuple[int, int]]) -> tf.Tensor:
    """The maximum of each window of one axis; short windows name their last position again."""
    longest = max(end - start for start, end in windows)
    places = [[min(start + i, end - 1) for i in range(longest)] for start, end in windows]
    return tf.reduce_max(tf.gather(x, places, axis=axis), axis + 1)
