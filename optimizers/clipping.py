"""Gradient clipping: by value, by the norm of each gradient, by the norm of all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf


def clip_by_value(grads: list[tf.Tensor], clipvalue: float) -> list[tf.Tensor]:
    """Every element limited to [-clipvalue, clipvalue]."""
    return [tf.clip_by_value(g, -clipvalue, clipvalue) for g in grads]


def clip_by_norm(grads: list[tf.Tensor], clipnorm: float) -> list[tf.Tensor]:
    """Every gradient scaled by `min(1, clipnorm / norm)` with its own norm."""
    return [g * clipnorm / tf.maximum(tf.sqrt(square_sum(g)), clipnorm) for g in grads]


def clip_by_global_norm(grads: list[tf.Tensor], global_clipnorm: float) -> list[tf.Tensor]:
    """All gradients scaled by `min(1, global_clipnorm / norm)`, norm over all together.

    As in Keras, a norm that is not finite makes every gradient NaN rather than some of them 0.
    """
    norm = global_norm(grads)
    scale = global_clipnorm * tf.minimum(1.0 / norm, 1.0 / global_clipnorm) + (norm - norm)
    return [g * tf.cast(scale, g.dtype) for g in grads]


def global_norm(grads: list[tf.Tensor]) -> tf.Tensor:
    """Euclidean norm of all elements of all gradients, a float32 scalar."""
    return tf.sqrt(tf.add_n([tf.cast(square_sum(g), tf.float32) for g in grads]))


def square_sum(x: tf.Tensor) -> tf.Tensor:
    """Sum of squares, a scalar."""
    # As one row: XLA on CPU then adds many numbers at a time, and of a matrix one after the other.
    return tf.reduce_sum(tf.square(tf.reshape(x, [-1])))


def clipper(
    clipnorm: float | None, clipvalue: float | None, global_clipnorm: float | None
) -> Callable[[list[tf.Tensor]], list[tf.Tensor]] | None:
    """The clipping that the arguments ask for, or None.

    Raises:
        ValueError: more than one is set, or one is not positive.
    """
    given = {
        "clipnorm": (clip_by_norm, clipnorm),
        "clipvalue": (clip_by_value, clipvalue),
        "global_clipnorm": (clip_by_global_norm, global_clipnorm),
    }
    chosen = {name: (f, limit) for name, (f, limit) in given.items() if limit is not None}
    if len(chosen) > 1:
        raise ValueError(
            f"{' and '.join(chosen)} are set together: choose one, they would undo each other."
        )
    for name, (f, limit) in chosen.items():
        if not limit > 0:
            raise ValueError(f"{name}={limit} must be positive; None clips nothing.")
        return functools.partial(_clip, f, limit)
    return None


def _clip(rule: Callable, limit: float, grads: list[tf.Tensor]) -> list[tf.Tensor]:
    return rule(grads, limit)
