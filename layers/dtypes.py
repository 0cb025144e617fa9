"""The dtype in which statistics and softmax are computed."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def at_least_float32(x: Any) -> tf.Tensor:
    """`x` in float32 where it is a 16-bit float, as it is otherwise (float64 stays float64)."""
    x = tf.convert_to_tensor(x)
    return tf.cast(x, tf.float32) if x.dtype.is_floating and x.dtype.size < 4 else x
