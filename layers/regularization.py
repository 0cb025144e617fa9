"""Noise that only training sees: Dropout, SpatialDropout, Gaussian noise, DropPath."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import Layer


def dropout(x: tf.Tensor, rate: float, seed: Any, noise_shape: Any = None) -> tf.Tensor:
    """Zeroes each value with probability `rate` and divides the rest by 1 - rate.

    The mask is drawn as 32-bit integers and compared with an integer threshold: floats drawn from
    one seed differ between plain TensorFlow and XLA, these do not.

    Args:
        x: `[...]`, floating.
        rate: in [0, 1).
        seed: int32 `[2]`, or `[b, 2]`: one for each example of x.
        noise_shape: shape of the mask, which broadcasts to x; None means the shape of x.
    """
    if rate == 0.0:
        return x
    bits = random_bits(tf.shape(x) if noise_shape is None else noise_shape, seed)
    keep = bits >= tf.constant(min(round(rate * 2**32), 2**32 - 1), tf.uint32)
    scale = tf.cast(1.0 / (1.0 - rate), x.dtype)
    return x * tf.where(keep, scale, tf.zeros([], x.dtype))


def random_bits(shape: Any, seed: Any) -> tf.Tensor:
    """uint32 numbers of a shape, the same in plain TensorFlow and XLA.

    Args:
        shape: `[...]`; its first axis is the examples' where each has a seed.
        seed: int32 `[2]`: Philox (Salmon et al. 2011). Or `[b, 2]`: each example's numbers are
            hashes (the finalizer of MurmurHash3, twice) of its seed and their place, so that they
            do not depend on which other examples are computed with it.

    Raises:
        ValueError: examples have seeds, and share what is drawn.
    """
    seed = tf.convert_to_tensor(seed)
    if seed.shape.rank == 1:
        return tf.random.stateless_uniform(
            shape, seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
        )
    if isinstance(shape, (list, tuple)) and isinstance(shape[0], int) and shape[0] == 1:
        raise ValueError(
            f"a mask of shape {shape} is shared by all examples, and each example has a seed of "
            "its own; draw by replica, or leave the first axis of noise_shape None."
        )
    shape = tf.convert_to_tensor(shape)
    words = tf.bitcast(seed, tf.uint32)
    own = _hashed(tf.bitwise.bitwise_xor(words[:, 0], _hashed(words[:, 1])))
    place = tf.bitcast(tf.range(tf.reduce_prod(shape[1:])), tf.uint32) * tf.constant(
        _ODD, tf.uint32
    )
    return tf.reshape(_hashed(_hashed(own[:, tf.newaxis] + place)), shape)


_ODD = 0x9E3779B1  # 2**32 over the golden ratio: places land far apart


def _hashed(x: tf.Tensor) -> tf.Tensor:
    """MurmurHash3's finalizer: every bit of a uint32 changes about half of those that come out."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = _folded(x, shift) * tf.constant(factor, tf.uint32)
    return _folded(x, 16)


def _folded(x: tf.Tensor, shift: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32)))


def normal(shape: tf.Tensor, seed: Any) -> tf.Tensor:
    """Standard normal draws that are the same in plain TensorFlow and XLA, up to rounding.

    Made from 32-bit integers, which agree where TensorFlow's own normal draws do not, by the
    transform of Box and Muller 1958.
    """
    if seed.shape.rank == 1:
        bits = random_bits(tf.concat([[2], shape], 0), seed)
    else:
        both = random_bits(tf.concat([shape, [2]], 0), seed)
        bits = tf.stack([both[..., 0], both[..., 1]])
    # 24 bits fill a float32; shifted to (0, 1] so that the logarithm is finite.
    high = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
    uniform = (tf.cast(high, tf.float32) + 1.0) * 2.0**-24
    return tf.sqrt(-2.0 * tf.math.log(uniform[0])) * tf.cos(2.0 * math.pi * uniform[1])


class Dropout(Layer):
    """In training, zeroes values with probability `rate`; `[b, ...] -> [b, ...]`.

    Srivastava et al. 2014.

    Args:
        rate: in [0, 1).
        noise_shape: shape of the mask, None for an axis of the input's own size; a size of 1 shares
            the mask along that axis.
        seed: an integer mixed into the seed of each draw.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank: int | None = 1

    def __init__(
        self,
        rate: float,
        *,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.rate = checked_rate(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        if not training or self.rate == 0.0:
            return inputs
        return dropout(inputs, self.rate, self.next_seed(self.seed), self._mask_shape(inputs))

    def _mask_shape(self, inputs: tf.Tensor) -> Any:
        if self.noise_shape is None:
            return None
        if len(self.noise_shape) != inputs.shape.rank:
            raise ValueError(
                f"noise_shape must have one entry per axis of the input, got {self.noise_shape} "
                f"for shape {inputs.shape}"
            )
        shape = tf.shape(inputs)
        return [shape[i] if s is None else s for i, s in enumerate(self.noise_shape)]


class _SpatialDropout(Dropout):
    """Drops whole channels."""

    min_rank = None

    def __init__(
        self,
        rate: float,
        *,
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(rate, seed=seed, trainable=trainable, name=name)

    def _mask_shape(self, inputs: tf.Tensor) -> Any:
        shape = tf.shape(inputs)
        return [shape[0], *[1] * (inputs.shape.rank - 2), shape[-1]]


class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of `[b, t, c]`. Tompson et al. 2014."""

    input_rank = 3


class SpatialDropout2D(_SpatialDropout):
    """Drops whole channels of `[b, h, w, c]`. Tompson et al. 2014."""

    input_rank = 4


class SpatialDropout3D(_SpatialDropout):
    """Drops whole channels of `[b, d, h, w, c]`. Tompson et al. 2014."""

    input_rank = 5


class DropPath(Dropout):
    """Drops whole examples of a residual branch: stochastic depth. Huang et al. 2016."""

    def __init__(
        self,
        rate: float,
        *,
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(rate, seed=seed, trainable=trainable, name=name)

    def _mask_shape(self, inputs: tf.Tensor) -> Any:
        return [tf.shape(inputs)[0], *[1] * (inputs.shape.rank - 1)]


class GaussianNoise(Layer):
    """In training, adds normal noise of the given standard deviation: `[b, ...] -> [b, ...]`."""

    casts_integers = True
    min_rank = 1

    def __init__(
        self,
        stddev: float,
        *,
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        if stddev < 0:
            raise ValueError(f"stddev must be 0 or more, got {stddev}")
        self.stddev = float(stddev)
        self.seed = seed

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        if not training or self.stddev == 0.0:
            return inputs
        noise = self.stddev * normal(tf.shape(inputs), self.next_seed(self.seed))
        return inputs + tf.cast(noise, inputs.dtype)


class GaussianDropout(Layer):
    """In training, multiplies by normal noise of mean 1 and variance rate / (1 - rate).

    `[b, ...] -> [b, ...]`. Srivastava et al. 2014.
    """

    casts_integers = True
    min_rank = 1

    def __init__(
        self,
        rate: float,
        *,
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.rate = checked_rate(rate)
        self.seed = seed

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        if not training or self.rate == 0.0:
            return inputs
        stddev = (self.rate / (1.0 - self.rate)) ** 0.5
        noise = 1.0 + stddev * normal(tf.shape(inputs), self.next_seed(self.seed))
        return inputs * tf.cast(noise, inputs.dtype)


def checked_rate(rate: float) -> float:
    """`rate` as a float in [0, 1), or an error."""
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be in [0, 1): the fraction that is dropped, got {rate!r}")
    return float(rate)
