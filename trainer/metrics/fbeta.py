"""F scores: the harmonic mean of precision and recall, by class or over all."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.base import Metric
from trainer.metrics.counts import total
from trainer.metrics.shapes import same_shape
from trainer.sums import spread

AVERAGES = (None, "micro", "macro", "weighted")
_EPSILON = 1e-7  # Keras's, in every denominator


class FBetaScore(Metric):
    """`(1 + beta^2) P R / (beta^2 P + R)` of precision P and recall R; both arguments `[b, k]`.

    Args:
        average: None (an array `[k]`, one value per class), "micro" (counts of all classes
            together), "macro" (the mean over classes) or "weighted" (by each class's targets).
        beta: how much more recall counts than precision; above 0.
        threshold: predictions above it mean yes; None: the largest of each row does.
        name: the reported name.

    Raises:
        ValueError: an argument is none of these.
    """

    direction = "max"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        *,
        threshold: float | None = None,
        name: str = "fbeta_score",
    ) -> None:
        super().__init__(name)
        if average not in AVERAGES:
            raise ValueError(f"average={average!r} is unknown; choose one of {AVERAGES}.")
        if not beta > 0:
            raise ValueError(f"beta={beta} must be above 0.")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"threshold={threshold} must lie above 0 and not above 1.")
        self.average = average
        self.beta = float(beta)
        self.threshold = threshold
        self.probabilities = threshold is not None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """True positives, predicted and true yes, `[3, k]` by class (`[3]` for "micro")."""
        y_true, y_pred = same_shape(y_true, y_pred, type(self).__name__)
        if y_pred.shape.rank != 2:
            raise ValueError(
                f"{type(self).__name__}: y_pred has shape {y_pred.shape}; it must be [batch, "
                "classes], and the targets one-hot or several yes and no."
            )
        if self.threshold is None:
            largest = tf.reduce_max(y_pred, -1, keepdims=True)
            # Of a row of zeros none is the largest.
            answer = (y_pred >= largest) & (tf.abs(y_pred) > 1e-9)
        else:
            answer = y_pred > self.threshold
        weights = None
        if sample_weight is not None:
            weights = spread(tf.cast(sample_weight, tf.float32), y_pred)
        answer, y_true = tf.cast(answer, tf.float32), tf.cast(y_true, tf.float32)
        axis = None if self.average == "micro" else 0
        return tf.stack([total(x, weights, axis) for x in (answer * y_true, answer, y_true)])

    def result(self, sums: Any) -> Any:
        """A float, or an array `[k]` where nothing is averaged."""
        both, predicted, true = np.asarray(sums)
        precision = both / (predicted + _EPSILON)
        recall = both / (true + _EPSILON)
        weight = self.beta**2
        score = (1 + weight) * precision * recall / (weight * precision + recall + _EPSILON)
        if self.average is None:
            return score
        if self.average == "weighted":
            return float(np.sum(score * true) / (np.sum(true) + _EPSILON))
        return float(np.mean(score))


class F1Score(FBetaScore):
    """`FBetaScore` with beta 1.

    Args:
        average: None, "micro", "macro" or "weighted".
        threshold: predictions above it mean yes; None: the largest of each row does.
        name: the reported name.
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        *,
        name: str = "f1_score",
    ) -> None:
        super().__init__(average, 1.0, threshold=threshold, name=name)
