"""The hinge family: losses of a margin between classes."""

from __future__ import annotations

import tensorflow as tf

from losses.base import FunctionLoss, TensorLike, align


def hinge(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`mean(max(1 - y_true y_pred, 0))` over the last axis: [b, ..., k] -> [b, ...].

    Targets are -1 or 1; where all of them are 0 or 1 they are taken as -1 and 1, as in Keras.
    """
    y_true, y_pred = align(y_true, y_pred)
    return tf.reduce_mean(tf.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`mean(max(1 - y_true y_pred, 0)^2)` over the last axis; targets as in `hinge`."""
    y_true, y_pred = align(y_true, y_pred)
    return tf.reduce_mean(tf.square(tf.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`max(max((1 - y_true) y_pred) - sum(y_true y_pred) + 1, 0)`.

    Over the last axis, with one-hot targets.
    """
    y_true, y_pred = align(y_true, y_pred)
    right = tf.reduce_sum(y_true * y_pred, axis=-1)
    wrong = tf.reduce_max((1.0 - y_true) * y_pred, axis=-1)
    return tf.maximum(wrong - right + 1.0, 0.0)


class Hinge(FunctionLoss):
    """See `hinge`."""

    function = staticmethod(hinge)


class SquaredHinge(FunctionLoss):
    """See `squared_hinge`."""

    function = staticmethod(squared_hinge)


class CategoricalHinge(FunctionLoss):
    """See `categorical_hinge`."""

    function = staticmethod(categorical_hinge)


def _signs(y_true: tf.Tensor) -> tf.Tensor:
    zero_one = tf.reduce_all(tf.logical_or(tf.equal(y_true, 0.0), tf.equal(y_true, 1.0)))
    return tf.where(zero_one, 2.0 * y_true - 1.0, y_true)
