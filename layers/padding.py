"""Zeros around an input, and ends cut off; channels last."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .base import Layer
from .windows import sizes


class _Sides(Layer):
    """What they share."""

    casts_integers = True


class ZeroPadding1D(_Sides):
    """Zeros around an input along time: `[b, t, c] -> [b, new t, c]`.

    Args:
        padding: one number for both ends, or `(before, after)`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 3

    def __init__(
        self, padding: Any = 1, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.padding = pairs("padding", padding, 1)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, t, c] -> [b, new t, c]`."""
        return tf.pad(inputs, [(0, 0), *self.padding, (0, 0)])


class Cropping1D(_Sides):
    """Cuts an input's ends off along time: `[b, t, c] -> [b, new t, c]`.

    Args:
        cropping: one number for both ends, or `(before, after)`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 3

    def __init__(
        self, cropping: Any = (1, 1), *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.cropping = pairs("cropping", cropping, 1)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, t, c] -> [b, new t, c]`."""
        return cropped(self, inputs, self.cropping)


class ZeroPadding2D(_Sides):
    """Zeros around an input along height and width: `[b, h, w, c] -> [b, new h, new w, c]`.

    Args:
        padding: one number for all sides, two (above and below, left and right), or two pairs
            `((top, bottom), (left, right))`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 4

    def __init__(
        self, padding: Any = (1, 1), *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.padding = pairs("padding", padding, 2)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, h, w, c] -> [b, new h, new w, c]`."""
        return tf.pad(inputs, [(0, 0), *self.padding, (0, 0)])


class Cropping2D(_Sides):
    """Cuts an input's ends off along height and width: `[b, h, w, c] -> [b, new h, new w, c]`.

    Args:
        cropping: one number for all sides, two (above and below, left and right), or two pairs
            `((top, bottom), (left, right))`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 4

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.cropping = pairs("cropping", cropping, 2)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, h, w, c] -> [b, new h, new w, c]`."""
        return cropped(self, inputs, self.cropping)


class ZeroPadding3D(_Sides):
    """Zeros around volumes: `[b, d, h, w, c] -> [b, new d, new h, new w, c]`.

    Args:
        padding: one number for all sides, three (one for each axis), or three pairs of
            `(before, after)`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 5

    def __init__(
        self,
        padding: Any = ((1, 1), (1, 1), (1, 1)),
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.padding = pairs("padding", padding, 3)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, d, h, w, c] -> [b, new d, new h, new w, c]`."""
        return tf.pad(inputs, [(0, 0), *self.padding, (0, 0)])


class Cropping3D(_Sides):
    """Cuts the ends of volumes off: `[b, d, h, w, c] -> [b, new d, new h, new w, c]`.

    Args:
        cropping: one number for all sides, three (one for each axis), or three pairs of
            `(before, after)`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 5

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.cropping = pairs("cropping", cropping, 3)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, d, h, w, c] -> [b, new d, new h, new w, c]`."""
        return cropped(self, inputs, self.cropping)


def cropped(layer: Layer, x: tf.Tensor, cropping: tuple[tuple[int, int], ...]) -> tf.Tensor:
    """`x` without what is cropped; an error if nothing is left."""
    for size, (before, after) in zip(x.shape[1:-1], cropping, strict=True):
        if size is not None and size <= before + after:
            raise ValueError(
                f"{layer._label()} cuts {before} + {after} off an axis of size {size} (input shape "
                f"{x.shape}); crop less than there is"
            )
    inner = [slice(before, -after if after else None) for before, after in cropping]
    index = (slice(None), *inner)
    return x[index]


def pairs(argument: str, value: Any, n: int) -> tuple[tuple[int, int], ...]:
    """`value` as `(before, after)` for each of n axes."""
    if n == 1 and isinstance(value, (list, tuple)) and len(value) == 2:
        value = (value,)
    values = value if isinstance(value, (list, tuple)) else (value,) * n
    if len(values) != n:
        raise ValueError(
            f"{argument} must be one integer, or {n} of them or of pairs (before, after), got "
            f"{value!r}"
        )
    before_and_after = [sizes(argument, v, 2, least=0) for v in values]
    return tuple((before, after) for before, after in before_and_after)
