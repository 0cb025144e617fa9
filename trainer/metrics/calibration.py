"""Calibration: whether things predicted with a confidence of p come true p of the time."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.base import Metric, divide_no_nan
from trainer.metrics.counts import tally
from trainer.metrics.shapes import labels_and_scores, onehot_and_scores, same_shape
from trainer.sums import spread


class ExpectedCalibrationError(Metric):
    """The mean distance between confidence and accuracy, by bins of confidence (Guo et al. 2017).

    Confidence is the largest predicted probability of an example, or max(p, 1 - p) where a single
    one is predicted. Bins are `(i / n, (i + 1) / n]`.

    Args:
        num_bins: n.
        name: the reported name.
        from_logits: whether predictions are logits.
    """

    direction = "min"

    def __init__(
        self,
        num_bins: int = 15,
        name: str = "expected_calibration_error",
        *,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name)
        if num_bins < 1:
            raise ValueError(f"num_bins={num_bins} must be 1 or more.")
        self.num_bins = num_bins
        self.from_logits = from_logits
        self.probabilities = not from_logits

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Weight, weight of the right ones, weighted confidence: `[3, n]` by bin.

        Args:
            y_true: class numbers `[b, ...]`, or one-hot, of predictions `[b, ..., k]`; yes and no
                (1 and 0) of predictions `[b]` or `[b, 1]`.
            y_pred: probabilities or logits.
            sample_weight: None, or weights that fit the examples.
        """
        confidence, right = self._confidence(
            tf.convert_to_tensor(y_true), tf.cast(y_pred, tf.float32)
        )
        weights = tf.ones_like(confidence)
        if sample_weight is not None:
            weights = spread(tf.cast(sample_weight, tf.float32), confidence)
        n = self.num_bins
        bins = tf.clip_by_value(tf.cast(tf.math.ceil(confidence * n), tf.int32) - 1, 0, n - 1)
        weights = tf.cast(weights, tf.float64)
        parts = (weights, tf.where(right, weights, 0.0), tf.cast(confidence, tf.float64) * weights)
        return tf.stack([tally(bins, n, part) for part in parts])

    def _confidence(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        name = type(self).__name__
        if y_pred.shape.rank == 1 or y_pred.shape[-1] == 1:
            y_true, y_pred = same_shape(y_true, y_pred, name)
            p = tf.sigmoid(y_pred) if self.from_logits else y_pred
            return tf.maximum(p, 1.0 - p), tf.equal(p > 0.5, y_true > 0.5)
        p = tf.nn.softmax(y_pred) if self.from_logits else y_pred
        one_hot = y_true.shape.rank == y_pred.shape.rank and y_true.shape[-1] == y_pred.shape[-1]
        labels, p = (onehot_and_scores if one_hot else labels_and_scores)(y_true, p, name)
        return tf.reduce_max(p, -1), tf.equal(labels, tf.argmax(p, -1, output_type=tf.int32))

    def result(self, sums: Any) -> float:
        """The error, in [0, 1]."""
        weight, right, confidence = np.asarray(sums)
        return float(divide_no_nan(np.sum(np.abs(right - confidence)), np.sum(weight)))
