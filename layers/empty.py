"""Batches of no rows, for kernels that cannot take them."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def with_a_row(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """`function(x)` row by row, `[b, ...] -> [b, ...]`, where b may be 0.

    TensorFlow's convolutions hand an empty input back as it is, in its own shape, and gradients of
    some convolutions and pools abort the process. So an empty batch gets a row of zeros, which is
    taken off afterwards. Where b is known and not 0, this adds nothing.
    """
    if x.shape[0]:
        return function(x)
    rows = tf.shape(x)[0]
    missing = tf.cast(tf.equal(rows, 0), tf.int32)
    # Not tf.cond: XLA would compile both sides, whose shapes differ.
    filled = tf.pad(x, [[0, missing], *[[0, 0]] * (x.shape.rank - 1)])
    y = function(tf.ensure_shape(filled, [None, *x.shape[1:]]))
    return tf.ensure_shape(y[:rows], [x.shape[0], *y.shape[1:]])
