"""More positions out of fewer: repetition, interpolation, and channels laid out in space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from .base import Layer
from .core import positive_int
from .windows import one_of, sizes


class UpSampling1D(Layer):
    """Repeats each position `size` times: `[b, t, c] -> [b, t * size, c]`.

    Args:
        size: how often.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    input_rank = 3

    def __init__(
        self, size: int | Sequence[int] = 2, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.size = sizes("size", size, 1)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, t, c] -> [b, t * size, c]`."""
        return repeated(inputs, self.size)


class UpSampling2D(Layer):
    """Makes images larger: `[b, h, w, c] -> [b, h * size, w * size, c]`.

    Args:
        size: how much higher and wider, or one number for both.
        interpolation: "nearest" (each pixel is repeated) or "bilinear" (between the centers of
            pixels, as `tf.image.resize`).
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    input_rank = 4

    def __init__(
        self,
        size: int | Sequence[int] = 2,
        *,
        interpolation: str = "nearest",
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.size = sizes("size", size, 2)
        self.interpolation = one_of("interpolation", interpolation, ("nearest", "bilinear"))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, h, w, c] -> [b, h * size, w * size, c]`."""
        if self.interpolation == "nearest":
            return repeated(inputs, self.size)
        h, w = (self.known_axis(inputs.shape, axis) for axis in (1, 2))
        rows = tf.constant(bilinear_matrix(h, self.size[0]), inputs.dtype)
        columns = tf.constant(bilinear_matrix(w, self.size[1]), inputs.dtype)
        return tf.einsum("yh,bhwc,xw->byxc", rows, inputs, columns)


class UpSampling3D(Layer):
    """Repeats each position: `[b, d, h, w, c] -> [b, d * size, h * size, w * size, c]`.

    Args:
        size: how often along each axis, or one number for all.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    input_rank = 5

    def __init__(
        self, size: int | Sequence[int] = 2, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.size = sizes("size", size, 3)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, d, h, w, c] -> [b, d * size, h * size, w * size, c]`."""
        return repeated(inputs, self.size)


class PixelShuffle(Layer):
    """Lays channels out in space: `[b, h, w, r * r * c] -> [b, h * r, w * r, c]`.

    Shi et al. 2016. Channel `(i * r + j) * c + k` becomes channel k of the pixel at row i and
    column j of its block, as in `tf.nn.depth_to_space`.

    Args:
        upscale_factor: r, how much higher and wider.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    input_rank = 4

    def __init__(
        self, upscale_factor: int, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.upscale_factor = positive_int("upscale_factor", upscale_factor)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, h, w, r * r * c] -> [b, h * r, w * r, c]`."""
        r = self.upscale_factor
        channels = self.known_axis(inputs.shape)
        if channels % r**2:
            raise ValueError(
                f"{self._label()} lays out upscale_factor**2 = {r**2} channels for each one, but "
                f"the input has {channels} (shape {inputs.shape}); they must be divisible by {r**2}"
            )
        return inputs if r == 1 else tf.nn.depth_to_space(inputs, r)


def repeated(x: tf.Tensor, times: Sequence[int]) -> tf.Tensor:
    """Each position `times` over along each axis between the first and the last."""
    for axis, n in enumerate(times, start=1):
        if n > 1:
            x = tf.repeat(x, n, axis)
    return x


def bilinear_matrix(size: int, times: int) -> np.ndarray:
    """Weights `[size * times, size]` of linear interpolation between the centers of pixels."""
    places = np.clip((np.arange(size * times) + 0.5) / times - 0.5, 0, size - 1)
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(size)))
