"""Maximum and average pooling over one to three axes, and over all of them; channels last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from .base import Layer
from .dtypes import at_least_float32
from .empty import with_a_row
from .windows import check_extent, one_of, sizes


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
        return with_a_row(self._pool, inputs)

    def _pool(self, x: tf.Tensor) -> tf.Tensor:
        pool = {"max": tf.nn.max_pool, "average": tf.nn.avg_pool}[self.kind]
        return pooled(pool, x, self.pool_size, self.strides, self.padding.upper())


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


class MaxPooling3D(_Pooling):
    """Maximum over windows of a volume: `[b, d, h, w, c] -> [b, new d, new h, new w, c]`.

    Args:
        pool_size: depth, height and width of the window, or one number for all.
        strides: step of the window; None means `pool_size`.
        padding: "valid" or "same".
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 3, 5, "max"


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


class AveragePooling3D(_Pooling):
    """Mean over windows of a volume: `[b, d, h, w, c] -> [b, new d, new h, new w, c]`.

    Padding is not counted.

    Args:
        pool_size: depth, height and width of the window, or one number for all.
        strides: step of the window; None means `pool_size`.
        padding: "valid" or "same".
        trainable: see `Layer`.
        name: see `Layer`.
    """

    spatial, input_rank, kind = 3, 5, "average"


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


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """Maximum over the volume: `[b, d, h, w, c] -> [b, c]`, with `keepdims` `[b, 1, 1, 1, c]`."""

    input_rank = 5


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """Mean over time: `[b, t, c] -> [b, c]`, or `[b, 1, c]` with `keepdims`."""

    input_rank = 3


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """Mean over the image: `[b, h, w, c] -> [b, c]`, or `[b, 1, 1, c]` with `keepdims`."""

    input_rank = 4


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """Mean over the volume: `[b, d, h, w, c] -> [b, c]`, or `[b, 1, 1, 1, c]` with `keepdims`."""

    input_rank = 5


def pooled(
    pool: Callable[..., tf.Tensor],
    x: tf.Tensor,
    window: Sequence[int],
    strides: Sequence[int],
    padding: str,
) -> tf.Tensor:
    """`tf.nn.max_pool` or `tf.nn.avg_pool`, in every dtype: `[b, *spatial, c]`."""
    if len(window) == 3 and x.dtype == tf.float16:  # there is no kernel on CPUs
        wide = pooled(pool, tf.cast(x, tf.float32), window, strides, padding)
        return tf.cast(wide, x.dtype)
    if len(window) < 3 or x.dtype != tf.float64:
        # Without its format, the gradient over three axes fails in eager mode.
        form = ("NWC", "NHWC", "NDHWC")[len(window) - 1]
        return pool(x, list(window), list(strides), padding, data_format=form)
    # There is no kernel over three axes in float64, but pools go one axis after the other: what of
    # a window lies inside is a box, and its mean the mean of the means along its edges.
    b, d, h, w, c = tf.unstack(tf.shape(x))
    planes = pool(tf.reshape(x, [b * d, h, w, c]), window[1:], strides[1:], padding)
    h, w = planes.shape[1:3]
    lines = tf.reshape(planes, [b, d, h * w, c])
    y = pool(lines, [window[0], 1], [strides[0], 1], padding)
    return tf.reshape(y, [b, y.shape[1], h, w, c])
