"""How much of the targets' variation is explained: R2 and correlations, from sums of powers.

Powers of numbers far from 0 differ in their last digits only, so they are summed in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.base import MeanMetric, Metric, divide_no_nan
from trainer.metrics.counts import total
from trainer.metrics.shapes import same_shape
from trainer.sums import spread

AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """The coefficient of determination, `1 - squared errors / squared distances from the mean`.

    An output whose target is constant scores 0, as in Keras; also where it is predicted exactly,
    where Keras gives NaN.

    Args:
        class_aggregation: "uniform_average" (the mean over outputs), "variance_weighted_average",
            or None (an array `[k]`).
        num_regressors: above 0, the adjusted score for so many independent variables; with as many
            numbers as these and one, or fewer, the plain score, as in Keras.
        name: the reported name.
    """

    direction = "max"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        *,
        name: str = "r2_score",
    ) -> None:
        super().__init__(name)
        if class_aggregation not in AGGREGATIONS:
            raise ValueError(
                f"class_aggregation={class_aggregation!r} is unknown; choose one of {AGGREGATIONS}."
            )
        if num_regressors < 0:
            raise ValueError(f"num_regressors={num_regressors} must be 0 or more.")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Sums of a batch `[b, k]` (or `[b]`): `[5, k]` by output."""
        y_true, y_pred = same_shape(y_true, y_pred, "R2Score")
        if y_pred.shape.rank == 1:
            y_true, y_pred = y_true[:, tf.newaxis], y_pred[:, tf.newaxis]
        if y_pred.shape.rank != 2:
            raise ValueError(f"R2Score: y_pred has shape {y_pred.shape}; it must be [batch, k].")
        y_true, y_pred = tf.cast(y_true, tf.float64), tf.cast(y_pred, tf.float64)
        weights = tf.ones_like(y_true)
        if sample_weight is not None:
            weights = spread(tf.cast(sample_weight, tf.float64), y_true)
        powers = (tf.ones_like(y_true), y_true, tf.square(y_true), tf.square(y_true - y_pred))
        numbers = tf.cast(weights != 0.0, tf.float64)  # not those of padding
        return tf.stack([*(total(x, weights, 0) for x in powers), total(numbers, None, 0)])

    def result(self, sums: Any) -> Any:
        """A float, or an array `[k]` where nothing is aggregated."""
        weight, sum_, squares, errors, numbers = np.asarray(sums)
        variation = _above_rounding(squares - sum_ * divide_no_nan(sum_, weight), squares)
        scores = np.where(variation > 0, 1.0 - divide_no_nan(errors, variation), 0.0)
        value: Any = scores
        if self.class_aggregation == "uniform_average":
            value = np.mean(scores)
        elif self.class_aggregation is not None:
            value = divide_no_nan(np.sum(variation * scores), np.sum(variation))
        n, p = float(numbers.sum()), self.num_regressors
        if p and p < n - 1:
            value = 1.0 - (1.0 - value) * (n - 1.0) / (n - p - 1.0)
        return value if np.ndim(value) else float(value)


class _Correlation(MeanMetric):
    """The mean of a correlation along an axis, or one correlation over all of the data."""

    direction = "max"

    def __init__(self, name: str, axis: int | None) -> None:
        super().__init__(self.each, name)
        if axis == 0:
            raise ValueError(
                "axis=0 is the batch, and a correlation over one batch does not add up with that "
                "over another; axis=None correlates all numbers of all batches."
            )
        self.axis = axis

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Sums of values, or of powers where `axis` is None."""
        if self.axis is not None:
            return super().__call__(y_true, y_pred, sample_weight)
        a, b = (tf.cast(x, tf.float64) for x in same_shape(y_true, y_pred, type(self).__name__))
        weights = tf.ones_like(a)
        if sample_weight is not None:
            weights = spread(tf.cast(sample_weight, tf.float64), a)
        powers = (tf.ones_like(a), a, b, a * a, b * b, a * b)
        return tf.stack([total(x, weights) for x in powers])

    def result(self, sums: Any) -> float:
        """The correlation."""
        if self.axis is not None:
            return super().result(sums)
        weight, *powers = np.asarray(sums)
        a, b, aa, bb, ab = divide_no_nan(powers, weight)
        return float(
            self.of(
                a, b, _above_rounding(aa - a * a, aa), _above_rounding(bb - b * b, bb), ab - a * b
            )
        )

    def each(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """The correlation along the axis: `[b, ..., n]` -> `[b, ...]`."""
        a, b = (tf.cast(x, tf.float64) for x in same_shape(y_true, y_pred, type(self).__name__))
        means = [tf.reduce_mean(x, self.axis, keepdims=True) for x in (a, b)]
        a, b = a - means[0], b - means[1]
        a_mean, b_mean = (tf.squeeze(m, self.axis) for m in means)
        a_var, b_var = (
            _above_rounding(tf.reduce_mean(tf.square(x), self.axis), tf.square(m))
            for x, m in ((a, a_mean), (b, b_mean))
        )
        return self.of(a_mean, b_mean, a_var, b_var, tf.reduce_mean(a * b, self.axis))

    def of(self, a_mean: Any, b_mean: Any, a_var: Any, b_var: Any, covariance: Any) -> Any:
        """The correlation, from means, variances and the covariance."""
        raise NotImplementedError


class PearsonCorrelation(_Correlation):
    """The linear correlation of targets and predictions; 0 where one of them is constant.

    Args:
        name: the reported name.
        axis: the axis along which numbers are correlated, the value being the mean over all others
            (Keras's); None: one correlation of all numbers of all batches.
    """

    def __init__(self, name: str = "pearson_correlation", *, axis: int | None = -1) -> None:
        super().__init__(name, axis)

    def of(self, a_mean: Any, b_mean: Any, a_var: Any, b_var: Any, covariance: Any) -> Any:
        """`covariance / sqrt(variance * variance)`."""
        if tf.is_tensor(a_var):
            return tf.math.divide_no_nan(covariance, tf.sqrt(a_var) * tf.sqrt(b_var))
        return divide_no_nan(covariance, np.sqrt(a_var * b_var))


class ConcordanceCorrelation(_Correlation):
    """How near points are to the line y_true = y_pred (Lin 1989).

    `2 covariance / (variance + variance + (difference of means)^2)`.

    Args:
        name: the reported name.
        axis: as in `PearsonCorrelation`.
    """

    def __init__(self, name: str = "concordance_correlation", *, axis: int | None = -1) -> None:
        super().__init__(name, axis)

    def of(self, a_mean: Any, b_mean: Any, a_var: Any, b_var: Any, covariance: Any) -> Any:
        """The concordance, with Keras's 1e-7 in the denominator."""
        return 2.0 * covariance / (a_var + b_var + (a_mean - b_mean) ** 2 + 1e-7)


def _above_rounding(difference: Any, of: Any) -> Any:
    """A variance, 0 where nothing but rounding is left of a difference of large numbers."""
    where = tf.where if tf.is_tensor(difference) else np.where
    return where(difference > 1e-13 * of, difference, 0.0)
