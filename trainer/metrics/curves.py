"""Curves over all thresholds: the area under them, and one rate at a value of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.base import Metric, divide_no_nan
from trainer.metrics.counts import Thresholds, histograms, rates

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "majoring", "minoring")


class AUC(Metric):
    """The area under the ROC or precision-recall curve, by Keras's thresholds.

    Predictions are sorted into the intervals between thresholds, so it costs the same memory for
    any number of examples, and is exact up to what happens within an interval: `exact_auc` knows
    no intervals but needs all predictions at once.

    Args:
        num_thresholds: how many, evenly spaced in [0, 1].
        curve: "ROC", "PR" or "PRGAIN".
        summation_method: "interpolation", "majoring" or "minoring" (upper and lower sums).
        name: the reported name.
        thresholds: in place of `num_thresholds`, numbers in [0, 1]; 0 and 1 are added.
        multi_label: whether each entry of the last axis has a curve of its own, and the value is
            the mean of their areas; otherwise all entries share one.
        num_labels: not needed; Keras builds its variables by it.
        label_weights: `[labels]`: weights of that mean, or of the entries in the one curve.
        from_logits: whether predictions are logits.

    Raises:
        ValueError: an argument is none of these.
    """

    direction = "max"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        *,
        summation_method: str = "interpolation",
        name: str = "auc",
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name)
        if curve.upper() not in CURVES:
            raise ValueError(f"curve={curve!r} is unknown; choose one of {CURVES}.")
        if summation_method not in SUMMATIONS:
            raise ValueError(
                f"summation_method={summation_method!r} is unknown; choose one of {SUMMATIONS}."
            )
        if num_labels and not multi_label:
            raise ValueError(f"num_labels={num_labels} has a meaning with multi_label=True only.")
        inner = _evenly(num_thresholds)[1:-1] if thresholds is None else sorted(thresholds)
        even = Thresholds([0.0, *inner, 1.0]).even
        self.thresholds = Thresholds(
            [0.0, *inner, 1.0] if even else [-1e-7, *inner, 1.0 + 1e-7], epsilon_ends=even
        )
        self.curve = curve.upper()
        self.summation_method = summation_method
        self.multi_label = multi_label
        self.label_weights = None if label_weights is None else np.asarray(label_weights, float)
        self.from_logits = from_logits
        self.probabilities = not from_logits

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Histograms of the batch."""
        y_pred = tf.convert_to_tensor(y_pred)
        return histograms(
            self.thresholds,
            y_true,
            tf.sigmoid(tf.cast(y_pred, tf.float32)) if self.from_logits else y_pred,
            sample_weight,
            metric="AUC",
            by_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )

    def result(self, sums: Any) -> float:
        """The area; with several labels, the mean of theirs."""
        areas = self._areas(**rates(self.thresholds, sums))
        if not self.multi_label:
            return float(areas)
        if self.label_weights is None:
            return float(np.mean(areas))
        return float(divide_no_nan(np.sum(areas * self.label_weights), self.label_weights.sum()))

    def _areas(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        """Areas under curves that run from the lowest threshold, `[t, ...]`, to the highest."""
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_pr(tp, fp, fn)
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = divide_no_nan(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, divide_no_nan(tp, tp + fp)
        else:
            scale = divide_no_nan(tp + fn, fp + tn)
            x = np.where(tp == 0, 0.0, np.maximum(1.0 - scale * divide_no_nan(fn, tp), 0.0))
            y = np.where(tp == 0, 1.0, 1.0 - scale * divide_no_nan(fp, tp))
        heights = {
            "interpolation": (y[:-1] + y[1:]) / 2.0,
            "minoring": np.minimum(y[:-1], y[1:]),
            "majoring": np.maximum(y[:-1], y[1:]),
        }[self.summation_method]
        return np.sum((x[:-1] - x[1:]) * heights, 0)


def exact_auc(y_true: Any, y_pred: Any, sample_weight: Any = None, *, curve: str = "ROC") -> float:
    """The area under the curve through every prediction; on the host, in float64.

    "ROC": the probability that a yes is predicted above a no, equal ones counting half
    (Mann and Whitney 1947). "PR": average precision, the sum of precision times the rise of recall.

    Args:
        y_true: targets `[n]`: yes where not 0.
        y_pred: predictions `[n]`, of any scale.
        sample_weight: `[n]` or None.
        curve: "ROC" or "PR".

    Returns:
        The area; 0 where one of the two kinds is missing.

    Example:
        >>> exact_auc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
        0.875
    """
    if curve not in ("ROC", "PR"):
        raise ValueError(f"curve={curve!r} is unknown; choose 'ROC' or 'PR'.")
    yes = np.asarray(y_true).reshape(-1) != 0
    scores = np.asarray(y_pred, np.float64).reshape(-1)
    weights = np.ones(scores.shape) if sample_weight is None else np.asarray(sample_weight, float)
    if not yes.shape == scores.shape == weights.reshape(-1).shape:
        raise ValueError(
            f"y_true has {yes.size} entries, y_pred {scores.size} and sample_weight "
            f"{weights.size}; there must be equally many."
        )
    weights = weights.reshape(-1)
    _, groups = np.unique(-scores, return_inverse=True)  # the highest first, equal ones together
    found = np.bincount(groups, weights * yes)
    wrong = np.bincount(groups, weights * ~yes)
    tp, fp = np.cumsum(found), np.cumsum(wrong)
    if not (tp.size and tp[-1] and fp[-1]):
        return 0.0
    if curve == "PR":
        return float(np.sum(divide_no_nan(tp, tp + fp) * found) / tp[-1])
    return float(np.sum(wrong * (tp - found / 2.0)) / (tp[-1] * fp[-1]))


class _BestUnder(Metric):
    """The best value of one rate among the thresholds at which another is high enough."""

    direction = "max"
    probabilities = True

    def __init__(
        self, argument: str, value: float, num_thresholds: int, class_id: int | None, name: str
    ) -> None:
        super().__init__(name)
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{argument}={value} must lie in [0, 1].")
        if num_thresholds < 1:
            raise ValueError(f"num_thresholds={num_thresholds} must be 1 or more.")
        self.wanted = value
        self.class_id = class_id
        self.thresholds = Thresholds([0.5] if num_thresholds == 1 else _evenly(num_thresholds))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Histograms of the batch."""
        return histograms(
            self.thresholds,
            y_true,
            y_pred,
            sample_weight,
            metric=type(self).__name__,
            class_id=self.class_id,
        )

    def result(self, sums: Any) -> float:
        """The best value; 0 where no threshold is good enough."""
        bound, best = self.both(**rates(self.thresholds, sums))
        return float(np.max(np.where(bound >= self.wanted, best, 0.0), initial=0.0))

    def both(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[np.ndarray, np.ndarray]:
        """The rate that must be reached, and the one that is reported."""
        raise NotImplementedError


class SensitivityAtSpecificity(_BestUnder):
    """The best sensitivity tp / (tp + fn) where the specificity is at least as wanted.

    Args:
        specificity: wanted, in [0, 1].
        num_thresholds: how many are tried, evenly spaced in [0, 1].
        class_id: only this class counts, of targets and predictions `[b, classes]`.
        name: the reported name.
    """

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        *,
        class_id: int | None = None,
        name: str = "sensitivity_at_specificity",
    ) -> None:
        super().__init__("specificity", specificity, num_thresholds, class_id, name)

    def both(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[np.ndarray, np.ndarray]:
        """Specificity and sensitivity."""
        return divide_no_nan(tn, tn + fp), divide_no_nan(tp, tp + fn)


class SpecificityAtSensitivity(_BestUnder):
    """The best specificity tn / (tn + fp) where the sensitivity is at least as wanted.

    Args:
        sensitivity: wanted, in [0, 1].
        num_thresholds: how many are tried, evenly spaced in [0, 1].
        class_id: only this class counts, of targets and predictions `[b, classes]`.
        name: the reported name.
    """

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        *,
        class_id: int | None = None,
        name: str = "specificity_at_sensitivity",
    ) -> None:
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name)

    def both(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[np.ndarray, np.ndarray]:
        """Sensitivity and specificity."""
        return divide_no_nan(tp, tp + fn), divide_no_nan(tn, tn + fp)


class PrecisionAtRecall(_BestUnder):
    """The best precision tp / (tp + fp) where the recall is at least as wanted.

    Args:
        recall: wanted, in [0, 1].
        num_thresholds: how many are tried, evenly spaced in [0, 1].
        class_id: only this class counts, of targets and predictions `[b, classes]`.
        name: the reported name.
    """

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        *,
        class_id: int | None = None,
        name: str = "precision_at_recall",
    ) -> None:
        super().__init__("recall", recall, num_thresholds, class_id, name)

    def both(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[np.ndarray, np.ndarray]:
        """Recall and precision."""
        return divide_no_nan(tp, tp + fn), divide_no_nan(tp, tp + fp)


class RecallAtPrecision(_BestUnder):
    """The best recall tp / (tp + fn) where the precision is at least as wanted.

    Args:
        precision: wanted, in [0, 1].
        num_thresholds: how many are tried, evenly spaced in [0, 1].
        class_id: only this class counts, of targets and predictions `[b, classes]`.
        name: the reported name.
    """

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        *,
        class_id: int | None = None,
        name: str = "recall_at_precision",
    ) -> None:
        super().__init__("precision", precision, num_thresholds, class_id, name)

    def both(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[np.ndarray, np.ndarray]:
        """Precision and recall."""
        return divide_no_nan(tp, tp + fp), divide_no_nan(tp, tp + fn)


def _evenly(n: int) -> list[float]:
    if n < 2:
        raise ValueError(f"num_thresholds={n} must be 2 or more.")
    return [i / (n - 1) for i in range(n)]


def _interpolated_pr(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """Davis and Goadrich 2006: between two thresholds tp grows in proportion to tp + fp."""
    positives = tp + fp
    rise, run = tp[:-1] - tp[1:], positives[:-1] - positives[1:]
    slope = divide_no_nan(rise, np.maximum(run, 0.0))
    intercept = tp[1:] - slope * positives[1:]
    both = (positives[:-1] > 0) & (positives[1:] > 0)
    ratio = np.where(both, divide_no_nan(positives[:-1], np.maximum(positives[1:], 0.0)), 1.0)
    parts = slope * (rise + intercept * np.log(ratio))
    return np.sum(divide_no_nan(parts, np.maximum(tp[1:] + fn[1:], 0.0)), 0)
