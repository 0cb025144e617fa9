"""The confusion matrix, and agreement computed from it: MCC and Cohen's kappa."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.base import Metric, divide_no_nan
from trainer.metrics.counts import tally
from trainer.sums import spread

WEIGHTINGS = (None, "linear", "quadratic")


class MatrixMetric(Metric):
    """A metric computed from the matrix `[k, k]` of true (rows) against predicted classes.

    The matrix is one tally over `k * true + predicted`: memory k^2, whatever the number of
    examples. Counts are integers, weighted sums float64. An example whose class is outside
    `[0, k)`, true or predicted, is left out.

    Args:
        num_classes: k.
        name: the reported name.
        ignore_class: a true class that is left out.
        sparse_y_true: whether targets are class numbers `[b, ...]`, or one-hot `[b, ..., k]`.
        sparse_y_pred: whether predictions are class numbers, or scores of which the largest counts.
        axis: the class axis of what is not sparse.
    """

    def __init__(
        self,
        num_classes: int,
        name: str,
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(name)
        if isinstance(num_classes, bool) or int(num_classes) != num_classes or num_classes < 2:
            raise ValueError(f"num_classes={num_classes!r} must be a whole number from 2 on.")
        self.num_classes = int(num_classes)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The matrix of the batch, `[k, k]`."""
        y_pred = self.classes(y_pred, self.sparse_y_pred, "y_pred")
        y_true = self.classes(y_true, self.sparse_y_true, "y_true")
        if y_true.shape.rank == (y_pred.shape.rank or 0) + 1 and y_true.shape[-1] == 1:
            y_true = tf.squeeze(y_true, -1)
        if y_pred.shape.rank == (y_true.shape.rank or 0) + 1 and y_pred.shape[-1] == 1:
            y_pred = tf.squeeze(y_pred, -1)
        if not y_true.shape.is_compatible_with(y_pred.shape):
            raise ValueError(
                f"{type(self).__name__}: classes of y_true have shape {y_true.shape} and those of "
                f"y_pred {y_pred.shape}; they must be equal. With sparse_y_true="
                f"{self.sparse_y_true} and sparse_y_pred={self.sparse_y_pred}, "
                "what is not sparse has a class axis more."
            )
        k = self.num_classes
        kept = (y_true >= 0) & (y_true < k) & (y_pred >= 0) & (y_pred < k)
        if self.ignore_class is not None:
            kept &= y_true != self.ignore_class
        weights = None
        if sample_weight is not None:
            weights = spread(tf.cast(sample_weight, tf.float32), tf.cast(y_true, tf.float32))
        return tf.reshape(tally(y_true * k + y_pred, k * k, weights, kept), [k, k])

    def classes(self, values: Any, sparse: bool, argument: str) -> tf.Tensor:
        """Class numbers int32, from class numbers or from scores."""
        values = tf.convert_to_tensor(values)
        if sparse:
            return tf.cast(values, tf.int32)
        size = values.shape[self.axis] if values.shape.rank else None
        if size not in (None, self.num_classes):
            raise ValueError(
                f"{type(self).__name__}: {argument} has shape {values.shape}; its axis {self.axis} "
                f"must have num_classes={self.num_classes} entries, or be class numbers with "
                f"sparse_{argument}=True."
            )
        return tf.argmax(values, self.axis, output_type=tf.int32)


class ConfusionMatrix(MatrixMetric):
    """The matrix itself: entry [i, j] is how often class j was predicted where i was true.

    Its value is an array `[k, k]`: in what `evaluate` returns and in `History.history`, while
    callbacks, which follow numbers, are not told of it.

    Args:
        num_classes: k.
        name: the reported name.
        normalize: whether rows are divided by their sums, so that they are rates.
        ignore_class: a true class that is left out.
        sparse_y_true: whether targets are class numbers, or one-hot.
        sparse_y_pred: whether predictions are class numbers, or scores.
        axis: the class axis of what is not sparse.

    Example:
        >>> metric = ConfusionMatrix(2)
        >>> metric.result(metric([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
        array([[1., 0.],
               [1., 1.]])
    """

    def __init__(
        self,
        num_classes: int,
        name: str = "confusion_matrix",
        *,
        normalize: bool = False,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )
        self.normalize = normalize

    def result(self, sums: Any) -> np.ndarray:
        """The matrix, float64 `[k, k]`."""
        matrix = np.asarray(sums, np.float64)
        return divide_no_nan(matrix, matrix.sum(1, keepdims=True)) if self.normalize else matrix


class MatthewsCorrelation(MatrixMetric):
    """Matthews's correlation in the form for k classes (Gorodkin 2004): 1 is right, 0 is chance.

    Args:
        num_classes: k.
        name: the reported name.
        ignore_class: a true class that is left out.
        sparse_y_true: whether targets are class numbers, or one-hot.
        sparse_y_pred: whether predictions are class numbers, or scores.
    """

    direction = "max"

    def __init__(
        self,
        num_classes: int,
        name: str = "matthews_correlation",
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = False,
    ) -> None:
        super().__init__(
            num_classes,
            name,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
        )

    def result(self, sums: Any) -> float:
        """The correlation; 0 where one side knows a single class."""
        matrix = np.asarray(sums, np.float64)
        n, true, predicted = matrix.sum(), matrix.sum(1), matrix.sum(0)
        covariance = np.trace(matrix) * n - true @ predicted
        spread_ = (n**2 - true @ true) * (n**2 - predicted @ predicted)
        return float(divide_no_nan(covariance, np.sqrt(max(spread_, 0.0))))


class CohenKappa(MatrixMetric):
    """Agreement beyond chance (Cohen 1960, 1968): 1 is agreement, 0 is chance.

    Args:
        num_classes: k.
        weightage: None (any disagreement counts the same), "linear" or "quadratic" (by how far
            apart the classes' numbers are).
        name: the reported name.
        ignore_class: a true class that is left out.
        sparse_y_true: whether targets are class numbers, or one-hot.
        sparse_y_pred: whether predictions are class numbers, or scores.
    """

    direction = "max"

    def __init__(
        self,
        num_classes: int,
        weightage: str | None = None,
        *,
        name: str = "cohen_kappa",
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = False,
    ) -> None:
        super().__init__(
            num_classes,
            name,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
        )
        if weightage not in WEIGHTINGS:
            raise ValueError(f"weightage={weightage!r} is unknown; choose one of {WEIGHTINGS}.")
        self.weightage = weightage

    def result(self, sums: Any) -> float:
        """Kappa; 0 where chance alone would agree."""
        matrix = np.asarray(sums, np.float64)
        chance = divide_no_nan(np.outer(matrix.sum(1), matrix.sum(0)), matrix.sum())
        apart = np.abs(np.subtract.outer(*[np.arange(self.num_classes)] * 2)).astype(float)
        cost = {None: apart > 0, "linear": apart, "quadratic": apart**2}[self.weightage]
        expected = np.sum(cost * chance)
        return float(1.0 - np.sum(cost * matrix) / expected) if expected else 0.0
