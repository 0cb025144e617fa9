"""Losses between real-valued targets and predictions, and the Poisson loss of counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from losses.base import EPSILON, FunctionLoss, Loss, TensorLike, align, as_tensor


def mean_squared_error(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`mean((y_true - y_pred)^2)` over the last axis: [b, ..., k] -> [b, ...]."""
    y_true, y_pred = align(y_true, y_pred)
    return tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`mean(|y_true - y_pred|)` over the last axis: [b, ..., k] -> [b, ...]."""
    y_true, y_pred = align(y_true, y_pred)
    return tf.reduce_mean(tf.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`100 mean(|y_true - y_pred| / max(|y_true|, 1e-7))` over the last axis."""
    y_true, y_pred = align(y_true, y_pred)
    ratio = tf.abs((y_true - y_pred) / tf.maximum(tf.abs(y_true), EPSILON))
    return 100.0 * tf.reduce_mean(ratio, axis=-1)


def mean_squared_logarithmic_error(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`mean((log(y_true + 1) - log(y_pred + 1))^2)` over the last axis.

    Values below 1e-7 count as 1e-7.
    """
    y_true, y_pred = align(y_true, y_pred)
    log_pred = tf.math.log(tf.maximum(y_pred, EPSILON) + 1.0)
    log_true = tf.math.log(tf.maximum(y_true, EPSILON) + 1.0)
    return tf.reduce_mean(tf.square(log_pred - log_true), axis=-1)


def huber(y_true: TensorLike, y_pred: TensorLike, delta: float = 1.0) -> tf.Tensor:
    """Quadratic up to an error of `delta`, linear beyond (Huber 1964), mean over the last axis."""
    y_true, y_pred = align(y_true, y_pred)
    error = tf.abs(y_pred - y_true)
    value = tf.where(error <= delta, 0.5 * tf.square(error), delta * error - 0.5 * delta**2)
    return tf.reduce_mean(value, axis=-1)


def log_cosh(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`mean(log(cosh(y_pred - y_true)))` over the last axis, without overflow."""
    y_true, y_pred = align(y_true, y_pred)
    error = y_pred - y_true
    return tf.reduce_mean(error + tf.math.softplus(-2.0 * error) - math.log(2.0), axis=-1)


def pinball(
    y_true: TensorLike, y_pred: TensorLike, quantile: float | Sequence[float] = 0.5
) -> tf.Tensor:
    """`max(q e, (q - 1) e)` of the error e = y_true - y_pred: [b, ..., k] -> [b, ...].

    Koenker and Bassett 1978; the q-quantile of the target minimises it. The mean over the last
    axis.

    Args:
        y_true: Targets; with several quantiles one target, [b], [b, 1] or [b, ..., 1], serves all.
        y_pred: Predictions; with several quantiles one for each, along the last axis.
        quantile: q between 0 and 1, or a sequence of them, one per entry of the last axis.

    Raises:
        ValueError: a quantile is outside (0, 1), or the shapes do not fit.
    """
    q = check_quantile(quantile)
    y_pred = tf.cast(as_tensor(y_pred), tf.float32)
    y_true = tf.cast(as_tensor(y_true), tf.float32)
    if np.ndim(q):
        if y_pred.shape[-1] != len(q):
            raise ValueError(
                f"quantile holds {len(q)} numbers, but y_pred has shape {y_pred.shape}: its last "
                "axis must have one prediction for each."
            )
        if y_true.shape.rank == y_pred.shape.rank - 1:
            y_true = y_true[..., tf.newaxis]
        if y_true.shape[-1] == 1:
            y_true = tf.repeat(y_true, len(q), -1)
    y_true, y_pred = align(y_true, y_pred)
    error = y_true - y_pred
    return tf.reduce_mean(tf.maximum(q * error, (q - 1.0) * error), axis=-1)


def check_quantile(quantile: float | Sequence[float]) -> np.ndarray:
    """One number or [q], all between 0 and 1."""
    q = np.asarray(quantile, np.float32)
    if q.ndim > 1 or not ((q > 0) & (q < 1)).all():
        raise ValueError(f"quantile={quantile!r} must lie between 0 and 1.")
    return q


def cosine_similarity(y_true: TensorLike, y_pred: TensorLike, axis: int = -1) -> tf.Tensor:
    """Minus the cosine of the angle between the vectors along `axis`: -1 is the best value."""
    y_true, y_pred = align(y_true, y_pred)
    # Keras's epsilon for the norm is its square in the sum of squares: max(x.x, 1e-14).
    y_true = tf.math.l2_normalize(y_true, axis=axis, epsilon=EPSILON**2)
    y_pred = tf.math.l2_normalize(y_pred, axis=axis, epsilon=EPSILON**2)
    return -tf.reduce_sum(y_true * y_pred, axis=axis)


def poisson(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`mean(y_pred - y_true log(y_pred + 1e-7))` over the last axis, for counts and rates."""
    y_true, y_pred = align(y_true, y_pred)
    return tf.reduce_mean(y_pred - y_true * tf.math.log(y_pred + EPSILON), axis=-1)


class MeanSquaredError(FunctionLoss):
    """See `mean_squared_error`."""

    function = staticmethod(mean_squared_error)


class MeanAbsoluteError(FunctionLoss):
    """See `mean_absolute_error`."""

    function = staticmethod(mean_absolute_error)


class MeanAbsolutePercentageError(FunctionLoss):
    """See `mean_absolute_percentage_error`."""

    function = staticmethod(mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(FunctionLoss):
    """See `mean_squared_logarithmic_error`."""

    function = staticmethod(mean_squared_logarithmic_error)


class LogCosh(FunctionLoss):
    """See `log_cosh`."""

    function = staticmethod(log_cosh)


class Poisson(FunctionLoss):
    """See `poisson`."""

    function = staticmethod(poisson)


class Huber(Loss):
    """See `huber`.

    Args:
        delta: The error where quadratic turns into linear; positive.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        delta: float = 1.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
    ):
        super().__init__(name=name, reduction=reduction)
        if not delta > 0:
            raise ValueError(f"delta={delta} must be positive: the error where Huber turns linear.")
        self.delta = delta

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return huber(y_true, y_pred, self.delta)


class Pinball(Loss):
    """See `pinball`.

    Args:
        quantile: Between 0 and 1, or a sequence of them, one per entry of the last axis.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        quantile: float | Sequence[float] = 0.5,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "pinball",
    ):
        super().__init__(name=name, reduction=reduction)
        check_quantile(quantile)
        self.quantile = quantile

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return pinball(y_true, y_pred, self.quantile)


class CosineSimilarity(Loss):
    """See `cosine_similarity`.

    Args:
        axis: The axis of the vectors.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        axis: int = -1,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
    ):
        super().__init__(name=name, reduction=reduction)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return cosine_similarity(y_true, y_pred, self.axis)
