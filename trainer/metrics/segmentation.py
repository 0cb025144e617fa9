"""Overlap of predicted and true classes: intersection over union, and Dice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.base import divide_no_nan
from trainer.metrics.confusion import MatrixMetric

_EPSILON = 1e-7  # Keras's, in its denominators


class IoU(MatrixMetric):
    """The mean intersection over union of some classes: tp / (tp + fp + fn).

    A class that occurs neither in the targets nor in the predictions is left out of the mean.
    Weights are real numbers; Keras rounds them down to whole ones unless told another dtype.

    Args:
        num_classes: how many classes there are.
        target_class_ids: the classes of the mean.
        name: the reported name.
        ignore_class: a true class that is left out.
        sparse_y_true: whether targets are class numbers, or one-hot.
        sparse_y_pred: whether predictions are class numbers, or scores.
        axis: the class axis of what is not sparse.
    """

    direction = "max"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        *,
        name: str = "iou",
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
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
        self.target_class_ids = list(target_class_ids)
        if not self.target_class_ids or not all(
            0 <= i < num_classes for i in self.target_class_ids
        ):
            raise ValueError(
                f"target_class_ids={target_class_ids!r} must name classes in [0, {num_classes})."
            )

    def result(self, sums: Any) -> float:
        """The mean over the classes that occur."""
        matrix = np.asarray(sums, np.float64)
        both = np.diag(matrix)[self.target_class_ids]
        sizes = (matrix.sum(0) + matrix.sum(1))[self.target_class_ids]
        return self.overlap(both, sizes)

    def overlap(self, both: np.ndarray, sizes: np.ndarray) -> float:
        """The value, from tp and 2 tp + fp + fn of the classes."""
        union = sizes - both
        occurs = union > 1e-9
        ratio = np.where(occurs, both / (union + _EPSILON), 0.0)
        return float(ratio.sum() / (occurs.sum() + _EPSILON))


class BinaryIoU(IoU):
    """The mean intersection over union of yes (1) and no (0); both arguments `[b, ...]`.

    Args:
        target_class_ids: the classes of the mean.
        threshold: predictions from it on mean yes.
        name: the reported name.
    """

    probabilities = True

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        *,
        name: str = "binary_iou",
    ) -> None:
        super().__init__(2, target_class_ids, name=name)
        self.threshold = threshold

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The matrix of the batch, `[2, 2]`."""
        y_pred = tf.cast(y_pred, tf.float32) >= self.threshold
        return super().__call__(y_true, tf.cast(y_pred, tf.int32), sample_weight)


class MeanIoU(IoU):
    """`IoU` of all classes.

    Args:
        num_classes: how many classes there are.
        name: the reported name.
        ignore_class: a true class that is left out.
        sparse_y_true: whether targets are class numbers, or one-hot.
        sparse_y_pred: whether predictions are class numbers, or scores.
        axis: the class axis of what is not sparse.
    """

    def __init__(
        self,
        num_classes: int,
        name: str = "mean_iou",
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name=name,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotIoU(IoU):
    """`IoU` of one-hot targets and, ordinarily, scores.

    Args:
        num_classes: how many classes there are.
        target_class_ids: the classes of the mean.
        name: the reported name.
        ignore_class: a true class that is left out.
        sparse_y_pred: whether predictions are class numbers.
        axis: the class axis.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        *,
        name: str = "one_hot_iou",
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name=name,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets and, ordinarily, scores.

    Args:
        num_classes: how many classes there are.
        name: the reported name.
        ignore_class: a true class that is left out.
        sparse_y_pred: whether predictions are class numbers.
        axis: the class axis.
    """

    def __init__(
        self,
        num_classes: int,
        name: str = "one_hot_mean_iou",
        *,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class Dice(MeanIoU):
    """The mean Dice coefficient 2 tp / (2 tp + fp + fn) of all classes that occur (Dice 1945).

    Over everything summed, as the F1 of each class is; the mean of `losses.dice` over examples is
    another number.

    Args:
        num_classes: how many classes there are.
        name: the reported name.
        ignore_class: a true class that is left out.
        sparse_y_true: whether targets are class numbers, or one-hot.
        sparse_y_pred: whether predictions are class numbers, or scores.
        axis: the class axis of what is not sparse.
    """

    def __init__(
        self,
        num_classes: int,
        name: str = "dice",
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
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

    def overlap(self, both: np.ndarray, sizes: np.ndarray) -> float:
        """The value, from tp and 2 tp + fp + fn of the classes."""
        return float(divide_no_nan(np.sum(divide_no_nan(2 * both, sizes)), np.sum(sizes > 0)))
