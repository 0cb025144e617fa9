"""Arithmetic on gradients, dense and sparse: scale, norm, and whether they are finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def scaled(gradient: Any, factor: tf.Tensor) -> Any:
    """A gradient times a scalar."""
    return _map_values(lambda x: x * tf.cast(factor, x.dtype), gradient)


def global_norm(gradients: Sequence[Any]) -> tf.Tensor:
    """The norm of all gradients together, float32."""
    # As rows: XLA on CPU then adds many numbers at a time, and of a matrix one after the other.
    squares = [tf.reduce_sum(tf.square(_values(g))) for g in gradients if g is not None]
    return tf.sqrt(tf.add_n(squares))


def all_finite(gradients: Sequence[Any]) -> tf.Tensor:
    """Whether every number of every gradient is finite, a bool scalar.

    One check of a sum takes half the time of a check of each number. A sum of numbers that are
    finite is taken to be so: gradients stay far below the 1e38 at which float32 ends.
    """
    return tf.math.is_finite(tf.add_n([sum_of(g) for g in gradients if g is not None]))


def zero_unless(finite: tf.Tensor, gradients: Sequence[Any]) -> list[Any]:
    """The gradients, or zeros where not all of them are finite."""

    def choose(x: tf.Tensor) -> tf.Tensor:
        return tf.where(finite, x, tf.zeros_like(x))

    return [None if g is None else _map_values(choose, g) for g in gradients]


def sum_of(gradient: Any) -> tf.Tensor:
    """The sum of a gradient's numbers, float32.

    In 64 sums side by side: XLA on CPU adds the numbers of one array one after the other.
    """
    values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
    flat = tf.cast(tf.reshape(values, [-1]), tf.float32)
    n = flat.shape[0]
    if n is None or n < 128:
        return tf.reduce_sum(flat)
    whole = n // 64 * 64
    total = tf.reduce_sum(tf.reduce_sum(tf.reshape(flat[:whole], [-1, 64]), axis=0))
    return total if whole == n else total + tf.reduce_sum(flat[whole:])


def _values(gradient: Any) -> tf.Tensor:
    # Rows that occur twice in a sparse gradient must be added before they are squared.
    return tf.cast(tf.reshape(tf.convert_to_tensor(gradient), [-1]), tf.float32)


def _map_values(fn: Callable[[tf.Tensor], tf.Tensor], gradient: Any) -> Any:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(fn(gradient.values), gradient.indices, gradient.dense_shape)
    return fn(gradient)
