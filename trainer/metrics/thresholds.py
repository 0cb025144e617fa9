"""Counts of right and wrong answers above thresholds, and what they give: precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.metrics.base import Metric, divide_no_nan
from trainer.metrics.classification import checked_k
from trainer.metrics.counts import (
    NONE_LEFT_OUT,
    checked_thresholds,
    histograms,
    rates,
)


class _AboveThresholds(Metric):
    """Counts above thresholds; the value is a float for one threshold, else an array `[t]`."""

    probabilities = True

    def __init__(
        self,
        thresholds: float | Sequence[float] | None,
        name: str,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(name)
        self.top_k = None if top_k is None else checked_k(top_k)
        self.class_id = class_id
        default = 0.5 if top_k is None else NONE_LEFT_OUT
        self.thresholds, self._single = checked_thresholds(thresholds, default)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Histograms of the batch."""
        return histograms(
            self.thresholds,
            y_true,
            y_pred,
            sample_weight,
            metric=type(self).__name__,
            top_k=self.top_k,
            class_id=self.class_id,
        )

    def result(self, sums: Any) -> Any:
        """A float, or an array with the value at each threshold."""
        values = self.at(**rates(self.thresholds, sums))
        return float(values[0]) if self._single else values

    def at(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        """The value at each threshold, `[t]`."""
        raise NotImplementedError


class TruePositives(_AboveThresholds):
    """The weight of the predictions above a threshold whose target is yes.

    Args:
        thresholds: one number in [0, 1] or several; 0.5 when not given.
        name: the reported name.
    """

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str = "true_positives"
    ) -> None:
        super().__init__(thresholds, name)

    def at(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        """The true positives."""
        return tp


class FalsePositives(_AboveThresholds):
    """The weight of the predictions above a threshold whose target is no.

    Args:
        thresholds: one number in [0, 1] or several; 0.5 when not given.
        name: the reported name.
    """

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str = "false_positives"
    ) -> None:
        super().__init__(thresholds, name)

    def at(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        """The false positives."""
        return fp


class TrueNegatives(_AboveThresholds):
    """The weight of the predictions up to a threshold whose target is no.

    Args:
        thresholds: one number in [0, 1] or several; 0.5 when not given.
        name: the reported name.
    """

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str = "true_negatives"
    ) -> None:
        super().__init__(thresholds, name)

    def at(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        """The true negatives."""
        return tn


class FalseNegatives(_AboveThresholds):
    """The weight of the predictions up to a threshold whose target is yes.

    Args:
        thresholds: one number in [0, 1] or several; 0.5 when not given.
        name: the reported name.
    """

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str = "false_negatives"
    ) -> None:
        super().__init__(thresholds, name)

    def at(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        """The false negatives."""
        return fn


class Precision(_AboveThresholds):
    """How many of the predicted yes are right: tp / (tp + fp); 0 where none is predicted.

    Args:
        thresholds: one number in [0, 1] or several; 0.5 when not given, and with `top_k` none.
        top_k: only the k largest predictions of an example may be yes.
        class_id: only this class counts, of targets and predictions `[b, classes]`.
        name: the reported name.
    """

    direction = "max"

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        *,
        class_id: int | None = None,
        name: str = "precision",
    ) -> None:
        super().__init__(thresholds, name, top_k, class_id)

    def at(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        """The precision."""
        return divide_no_nan(tp, tp + fp)


class Recall(_AboveThresholds):
    """How many of the true yes are found: tp / (tp + fn); 0 where there is none.

    Args:
        thresholds: one number in [0, 1] or several; 0.5 when not given, and with `top_k` none.
        top_k: only the k largest predictions of an example may be yes.
        class_id: only this class counts, of targets and predictions `[b, classes]`.
        name: the reported name.
    """

    direction = "max"

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        *,
        class_id: int | None = None,
        name: str = "recall",
    ) -> None:
        super().__init__(thresholds, name, top_k, class_id)

    def at(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        """The recall."""
        return divide_no_nan(tp, tp + fn)
