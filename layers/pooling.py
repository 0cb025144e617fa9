"""Maximum and average pooling over one and two axes, and over all of them; channels last."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from .base import Layer
from .conv import check_extent, one_of, sizes
from .dtypes import at_least_float32


class _Pooling(Layer):
    """What the windowed pools share."""

    casts_integers = True
    spatial: int
    kind: str

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        *,
        padding: str = "valid",
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.pool_size = sizes("pool_size", pool_size, self.spatial)
        self.strides = (
            self.pool_size if strides is None else sizes("strides", strides, self.spatial)
        )
        self.padding = one_of("padding", padding, ("valid", "same"))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, *spatial, c] -> [b, *new spatial, c]`."""
        check_extent(self, inputs, self.pool_size, [1] * self.spatial, self.padding)
        pool = {"max": tf.nn.max_pool, "average": tf.nn.avg_pool}[self.kind]
        return pool(inputs, list(self.pool_size), list(self.strides), self.padding.upper())


class MaxPooling1D(_Pooling):
    """Maximum over windows of time: `[b, t, c] -> [b, new t, c]`.

    Args:
        pool_size: length of the window.
        strides: step of the window; None means `pool_size`.
        padding: "valid" or "same".
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 1, 3, "max"


class MaxPooling2D(_Pooling):
    """Maximum over windows of an image: `[b, h, w, c] -> [b, new h, new w, c]`.

    Args:
        pool_size: height and width of the window, or one number for both.
        strides: step of the window; None means `pool_size`.
        padding: "valid" or "same".
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 2, 4, "max"


class AveragePooling1D(_Pooling):
    """Mean over windows of time, padding not counted: `[b, t, c] -> [b, new t, c]`.

    Args:
        pool_size: length of the window.
        strides: step of the window; None means `pool_size`.
        padding: "valid" or "same".
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 1, 3, "average"


class AveragePooling2D(_Pooling):
    """Mean over windows of an image, padding not counted: `[b, h, w, c] -> [b, new h, new w, c]`.

    Args:
        pool_size: height and width of the window, or one number for both.
        strides: step of the window; None means `pool_size`.
        padding: "valid" or "same".
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 2, 4, "average"


class _GlobalPooling(Layer):
    """What the global pools share."""

    casts_integers = True

    def __init__(
        self, keepdims: bool = False, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.keepdims = bool(keepdims)

    def _axes(self, inputs: tf.Tensor) -> list[int]:
        return list(range(1, inputs.shape.rank - 1))


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, *spatial, c] -> [b, c]`."""
        return tf.reduce_max(inputs, self._axes(inputs), keepdims=self.keepdims)


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, *spatial, c] -> [b, c]`, summed in float32."""
        mean = tf.reduce_mean(at_least_float32(inputs), self._axes(inputs), keepdims=self.keepdims)
        return tf.cast(mean, inputs.dtype)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """Maximum over time: `[b, t, c] -> [b, c]`, or `[b, 1, c]` with `keepdims`."""

    input_rank = 3


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """Maximum over the image: `[b, h, w, c] -> [b, c]`, or `[b, 1, 1, c]` with `keepdims`."""

    input_rank = 4


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """Mean over time: `[b, t, c] -> [b, c]`, or `[b, 1, c]` with `keepdims`."""

    input_rank = 3


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """Mean over the image: `[b, h, w, c] -> [b, c]`, or `[b, 1, 1, c]` with `keepdims`."""

    input_rank = 4
