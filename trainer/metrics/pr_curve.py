"""PRCurve: counts, precision and recall at evenly spaced thresholds, for a curve to look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.metrics.base import Metric, divide_no_nan
from trainer.metrics.counts import Thresholds, histograms, rates


class PRCurve(Metric):
    """The precision-recall curve itself; TensorBoard draws it.

    The value is an array `[6, num_thresholds]`: true positives, false positives, true negatives,
    false negatives, precision and recall at each threshold, from 0 to 1.

    Args:
        num_thresholds: how many, evenly spaced in [0, 1].
        name: the reported name.
    """

    probabilities = True

    def __init__(self, num_thresholds: int = 101, name: str = "pr_curve") -> None:
        super().__init__(name)
        if isinstance(num_thresholds, bool) or not num_thresholds >= 3:
            raise ValueError(f"PRCurve(num_thresholds={num_thresholds!r}): at least 3.")
        self.thresholds = Thresholds(np.linspace(0.0, 1.0, num_thresholds), epsilon_ends=True)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Histograms of the batch: `y_true` 0 or 1, `y_pred` probabilities, alike in shape."""
        return histograms(self.thresholds, y_true, y_pred, sample_weight, metric="PRCurve")

    def result(self, sums: Any) -> np.ndarray:
        """The curve."""
        found = rates(self.thresholds, sums)
        tp, fp, tn, fn = (found[name] for name in ("tp", "fp", "tn", "fn"))
        precision, recall = divide_no_nan(tp, tp + fp), divide_no_nan(tp, tp + fn)
        return np.stack([tp, fp, tn, fn, precision, recall])
