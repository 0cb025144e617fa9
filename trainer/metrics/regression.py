"""Errors of predicted numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.base import MeanMetric
from trainer.metrics.shapes import same_shape


class MeanSquaredError(MeanMetric):
    """The mean of `(y_true - y_pred)**2`; both `[b, ...]`."""

    direction = "min"

    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(self.errors, name)

    def errors(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Squared errors, `[b, ...]`."""
        return tf.math.squared_difference(*same_shape(y_true, y_pred, type(self).__name__))


class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of `(y_true - y_pred)**2` over everything summed; both `[b, ...]`."""

    def __init__(self, name: str = "root_mean_squared_error") -> None:
        super().__init__(name)

    def value(self, total: Any, count: Any) -> np.ndarray:
        """The root of the mean."""
        return np.sqrt(super().value(total, count))


class MeanAbsoluteError(MeanMetric):
    """The mean of `|y_true - y_pred|`; both `[b, ...]`."""

    direction = "min"

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(self.errors, name)

    def errors(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Absolute errors, `[b, ...]`."""
        y_true, y_pred = same_shape(y_true, y_pred, "MeanAbsoluteError")
        return tf.abs(y_true - y_pred)
