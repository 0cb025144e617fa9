"""Where a token stands: sinusoidal and learnt encodings that are added, and rotary ones."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .core import positive_int


def sinusoids(places: tf.Tensor, size: int, max_wavelength: float = 10000.0) -> tf.Tensor:
    """Sines and cosines of places: `[t] -> [t, size]`, float32. Vaswani et al. 2017, section 3.5.

    Entry 2i is `sin(place / max_wavelength ** (2i / size))`, entry 2i + 1 the cosine.
    """
    angles = _angles(places, (size + 1) // 2, 2.0 / size, max_wavelength)
    pairs = tf.stack([tf.sin(angles), tf.cos(angles)], -1)  # [t, size / 2, 2]
    return tf.reshape(pairs, [-1, 2 * ((size + 1) // 2)])[:, :size]


def rotate(x: tf.Tensor, places: tf.Tensor, max_wavelength: float = 10000.0) -> tf.Tensor:
    """Turns pairs of features by angles that grow with the place. Su et al. 2021 (RoFormer).

    Features i and i + d / 2 are a pair, as in GPT-NeoX and Llama. The product of a turned query and
    a turned key depends on the distance of their places alone.

    Args:
        x: `[b, t, h, d]`, d even.
        places: `[t]`, integers.
        max_wavelength: pair i turns by `place / max_wavelength ** (2 i / d)`.
    """
    d = x.shape[-1]
    if d is None or d % 2:
        raise ValueError(f"a rotary encoding turns pairs, so heads need an even size, got {d}")
    angles = _angles(places, d // 2, 2.0 / d, max_wavelength)[:, None, :]  # [t, 1, d / 2]
    cos, sin = tf.cast(tf.cos(angles), x.dtype), tf.cast(tf.sin(angles), x.dtype)
    a, b = tf.split(x, 2, -1)
    return tf.concat([a * cos - b * sin, b * cos + a * sin], -1)


def _angles(places: Any, count: int, exponent: float, max_wavelength: float) -> tf.Tensor:
    """`place / max_wavelength ** (i exponent)`: `[t] -> [t, count]`, float32."""
    steps = tf.range(count, dtype=tf.float32)
    rates = tf.pow(tf.constant(max_wavelength, tf.float32), -exponent * steps)
    return tf.cast(places, tf.float32)[:, None] * rates[None, :]


class SinusoidalEncoding(Layer):
    """Adds sines and cosines of the place: `[b, t, d] -> [b, t, d]`. Vaswani et al. 2017.

    Args:
        max_wavelength: the longest wavelength is 2 pi times this.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 3

    def __init__(
        self,
        max_wavelength: float = 10000.0,
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.max_wavelength = float(max_wavelength)

    def call(  # type: ignore[override]
        self, inputs: tf.Tensor, start: Any = 0, training: bool = False
    ) -> tf.Tensor:
        """`[b, t, d] -> [b, t, d]`; `start` is the place of the first step."""
        places = start + tf.range(tf.shape(inputs)[1])
        added = sinusoids(places, self.known_axis(inputs.shape), self.max_wavelength)
        return inputs + tf.cast(added, inputs.dtype)


class RotaryEncoding(Layer):
    """Turns pairs of features by the place: `[b, t, h, d] -> [b, t, h, d]`. Su et al. 2021.

    Give it to an attention layer as `position_encoding`; see `rotate`.

    Args:
        max_wavelength: the slowest pair has a wavelength of nearly 2 pi times this.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 4

    def __init__(
        self,
        max_wavelength: float = 10000.0,
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.max_wavelength = float(max_wavelength)

    def call(  # type: ignore[override]
        self, inputs: tf.Tensor, places: Any = None, training: bool = False
    ) -> tf.Tensor:
        """`[b, t, h, d] -> [b, t, h, d]`; `places` `[t]`, None means 0, 1, ..."""
        places = tf.range(tf.shape(inputs)[1]) if places is None else places
        return rotate(inputs, places, self.max_wavelength)


class PositionEmbedding(Layer):
    """Adds a learnt vector for each place: `[b, t, d] -> [b, t, d]`.

    Args:
        sequence_length: how many places there are.
        initializer: of `embeddings`, `[sequence_length, d]`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 3

    def __init__(
        self,
        sequence_length: int,
        *,
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.sequence_length = positive_int("sequence_length", sequence_length)
        self.initializer = initializer

    def build(self, input_shape: Shape) -> None:
        """Creates `embeddings` `[sequence_length, d]`."""
        d = self.known_axis(input_shape)
        self.embeddings = self.add_weight("embeddings", [self.sequence_length, d], self.initializer)
        self.fix_axes({-1: d})

    def call(  # type: ignore[override]
        self, inputs: tf.Tensor, start: Any = 0, training: bool = False
    ) -> tf.Tensor:
        """`[b, t, d] -> [b, t, d]`; `start` is the place of the first step."""
        t = inputs.shape[1]
        if t is not None and t > self.sequence_length:
            raise ValueError(
                f"{self._label()} has {self.sequence_length} places, got a sequence of {t}; give "
                "it a longer sequence_length, or shorter sequences"
            )
        table = self.cast(self.embeddings)
        if isinstance(start, int) and start == 0 and t is not None:
            return inputs + table[:t]
        return inputs + tf.gather(table, start + tf.range(tf.shape(inputs)[1]))
