"""Losses of overlap between predicted and true masks: Dice and Tversky."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from losses.base import EPSILON, Loss, TensorLike, align


def dice(
    y_true: TensorLike, y_pred: TensorLike, axis: int | Sequence[int] | None = None
) -> tf.Tensor:
    """`1 - 2 sum(y p) / (sum(y) + sum(p) + 1e-7)` over `axis`: [b, ...] -> [b, ...].

    Milletari et al. 2016. Where both are empty the value is 1, as in Keras.

    Args:
        y_true: Targets in [0, 1], any dtype.
        y_pred: Probabilities of the same shape.
        axis: The axes summed over; None: all but the first, so one value per example. Keras's None
            also sums over the batch, which would make an example's loss depend on its neighbours.

    Raises:
        ValueError: the shapes differ, or `axis` holds the batch axis.
    """
    y_true, y_pred = align(y_true, y_pred)
    axes = example_axes(y_pred, axis)
    both = tf.reduce_sum(y_true * y_pred, axes)
    either = tf.reduce_sum(y_true, axes) + tf.reduce_sum(y_pred, axes)
    return 1.0 - 2.0 * both / (either + EPSILON)


def tversky(
    y_true: TensorLike,
    y_pred: TensorLike,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: int | Sequence[int] | None = None,
) -> tf.Tensor:
    """`1 - tp / (tp + alpha missed + beta invented + 1e-7)` over `axis`: [b, ...] -> [b, ...].

    Salehi et al. 2017, with `tp = sum(y p)`, `missed = sum(y (1 - p))` and
    `invented = sum((1 - y) p)`. `alpha` weighs what is missed (false negatives) and `beta` what is
    invented (false positives): so it is in Keras's code, whatever its text says; in the paper it is
    the other way round. At 0.5 and 0.5 it is the Dice loss.

    Args:
        y_true: Targets in [0, 1], any dtype.
        y_pred: Probabilities of the same shape.
        alpha: Weight of false negatives.
        beta: Weight of false positives.
        axis: As in `dice`.

    Raises:
        ValueError: the shapes differ, or `axis` holds the batch axis.
    """
    y_true, y_pred = align(y_true, y_pred)
    axes = example_axes(y_pred, axis)
    both = tf.reduce_sum(y_true * y_pred, axes)
    missed = tf.reduce_sum(y_true * (1.0 - y_pred), axes)
    invented = tf.reduce_sum((1.0 - y_true) * y_pred, axes)
    return 1.0 - both / (both + alpha * missed + beta * invented + EPSILON)


class Dice(Loss):
    """See `dice`.

    Args:
        reduction: See `Loss`.
        name: Name in logs.
        axis: The axes summed over; None: all but the first.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        *,
        axis: int | Sequence[int] | None = None,
    ):
        super().__init__(name=name, reduction=reduction)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ...] -> [b, ...]."""
        return dice(y_true, y_pred, self.axis)


class Tversky(Loss):
    """See `tversky`.

    Args:
        alpha: Weight of false negatives.
        beta: Weight of false positives.
        reduction: See `Loss`.
        name: Name in logs.
        axis: The axes summed over; None: all but the first.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: int | Sequence[int] | None = None,
    ):
        super().__init__(name=name, reduction=reduction)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ...] -> [b, ...]."""
        return tversky(y_true, y_pred, self.alpha, self.beta, self.axis)


def example_axes(values: tf.Tensor, axis: int | Sequence[int] | None) -> list[int]:
    """The axes of an example: those asked for, or all but the first."""
    rank = values.shape.rank
    if rank is None:
        raise ValueError("y_pred has no known rank; give it one with tf.ensure_shape.")
    if axis is None:
        return list(range(1, rank))
    asked = [axis] if isinstance(axis, int) else list(axis)
    axes = [a % rank if -rank <= a < rank else rank for a in asked]
    if 0 in axes or rank in axes:
        raise ValueError(
            f"axis={axis!r} must name axes of one example of y_pred {values.shape}: from 1 to "
            f"{rank - 1}. Axis 0 is the batch, over which the trainer sums."
        )
    return axes
