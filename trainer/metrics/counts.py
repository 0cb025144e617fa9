"""Histograms of predictions by threshold: what precision, recall and AUC are computed from.

A batch becomes two histograms, of the predictions whose target is no and of those whose target is
yes, over the intervals between thresholds. They add, they cost the same for any number of examples,
and everything that asks "how many are above t" is a sum over their end. Both are in one array, as
all sums of a metric here are: the loop adds it in one operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.shapes import same_shape
from trainer.sums import spread

NONE_LEFT_OUT = -1e10  # Keras's threshold where the k largest predictions count, whatever they are


class Thresholds:
    """Thresholds that predictions are compared with: a prediction is positive above one.

    Args:
        values: the thresholds, in the order in which results are wanted.
        epsilon_ends: whether the first and last lie just outside [0, 1], as in Keras's AUC.

    Attributes:
        values: float32 `[t]`, as given.
    """

    def __init__(self, values: Sequence[float] | np.ndarray, *, epsilon_ends: bool = False) -> None:
        self.values = np.asarray(values, np.float32)
        self.sorted = np.unique(self.values)
        n = len(self.values)
        # Keras finds the interval of evenly spaced ones by multiplying: a prediction that is a
        # threshold, up to rounding, must fall on the same side here.
        even = np.arange(n, dtype=np.float32) / max(n - 1, 1)
        self.even = n >= 3 and np.allclose(self.values, even, atol=1e-7)
        self.epsilon_ends = epsilon_ends
        self._place = np.searchsorted(self.sorted, self.values)

    def below(self, y_pred: tf.Tensor) -> tf.Tensor:
        """How many of the sorted thresholds lie below each prediction, int32."""
        if not self.even:
            flat = tf.reshape(y_pred, [-1])
            found = tf.searchsorted(tf.constant(self.sorted), flat, side="left")
            return tf.reshape(found, tf.shape(y_pred))
        n = len(self.values)
        found = tf.math.ceil(tf.clip_by_value(y_pred, 0.0, 1.0) * (n - 1.0))
        found = tf.clip_by_value(tf.cast(found, tf.int32), 0, n)
        return tf.maximum(found, 1) if self.epsilon_ends else found

    def above(self, histogram: np.ndarray) -> np.ndarray:
        """How much of a histogram `[t + 1, ...]` lies above each threshold, `[t, ...]`."""
        ends = np.cumsum(histogram[::-1], axis=0)[::-1]  # ends[i]: at least i thresholds below
        return ends[self._place + 1]


def histograms(
    thresholds: Thresholds,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    metric: str,
    top_k: int | None = None,
    class_id: int | None = None,
    by_label: bool = False,
    label_weights: np.ndarray | None = None,
) -> tf.Tensor:
    """Sums of a batch: histograms `[2, t + 1]` of predictions whose target is no, and is yes.

    Counts are integers, weighted sums float64.

    Args:
        thresholds: the intervals.
        y_true: targets `[b, ...]`: yes where not 0.
        y_pred: predictions of the same shape.
        sample_weight: None, `[b]`, or one weight per prediction.
        metric: the name in messages.
        top_k: only the k largest of the last axis may be positive.
        class_id: only this entry of the last axis counts.
        by_label: one histogram for each entry of the last axis: `[2, t + 1, labels]`.
        label_weights: `[labels]`, multiplied into the weights.
    """
    y_true, y_pred = same_shape(y_true, y_pred, metric)
    y_pred = tf.cast(y_pred, tf.float32)
    weights = None
    if sample_weight is not None:
        weights = spread(tf.cast(sample_weight, tf.float32), y_pred)
    if label_weights is not None:
        weights = (1.0 if weights is None else weights) * tf.broadcast_to(
            tf.constant(label_weights, tf.float32), tf.shape(y_pred)
        )
    if top_k is not None:
        y_pred = largest_only(y_pred, top_k)
    if class_id is not None:
        if y_pred.shape.rank == 1:
            raise ValueError(f"{metric}: class_id={class_id} needs y_pred [batch, classes].")
        y_true, y_pred = y_true[..., class_id], y_pred[..., class_id]
        weights = None if weights is None else weights[..., class_id]
    if by_label and y_pred.shape.rank != 2:
        raise ValueError(
            f"{metric}: with multi_label y_pred must be [batch, labels], not {y_pred.shape}."
        )
    labels = y_pred.shape[-1] if by_label else 1
    shape = [2, len(thresholds.sorted) + 1, *([labels] if by_label else [])]
    yes = tf.cast(tf.cast(y_true, tf.bool), tf.int32)
    places = (yes * shape[1] + thresholds.below(y_pred)) * labels
    if by_label:
        places += tf.range(labels)
    return tf.reshape(tally(places, int(np.prod(shape)), weights), shape)


def tally(
    places: tf.Tensor, size: int, weights: tf.Tensor | None = None, kept: tf.Tensor | None = None
) -> tf.Tensor:
    """How often each place in `[0, size)` occurs, or the sum of its weights; others are left out.

    Args:
        places: int, of any shape.
        size: how many places there are.
        weights: of the shape of `places`; then the result is float64, else int32.
        kept: booleans of that shape: which count.
    """
    # One place more, for what is left out: XLA and TensorFlow differ about places outside.
    out = (places < 0) | (places >= size)
    if kept is not None:
        out |= ~kept
    places = tf.reshape(tf.where(out, size, tf.cast(places, tf.int32)), [-1])
    if weights is None:
        amounts = tf.ones_like(places)
    else:
        amounts = tf.reshape(tf.cast(weights, tf.float64), [-1])
    return tf.math.unsorted_segment_sum(amounts, places, size + 1)[:size]


def total(values: tf.Tensor, weights: tf.Tensor | None = None, axis: Any = None) -> tf.Tensor:
    """The float64 sum of values, weighted: products and sums of float32 lose nothing in it."""
    values = tf.cast(values, tf.float64)
    if weights is not None:
        values *= tf.cast(weights, tf.float64)
    return tf.reduce_sum(values, axis)


def rates(thresholds: Thresholds, sums: Any) -> dict[str, np.ndarray]:
    """The four counts above (positive) and up to (negative) each threshold, from `histograms`."""
    no, yes = np.asarray(sums)
    tp, fp = thresholds.above(yes), thresholds.above(no)
    return {"tp": tp, "fp": fp, "fn": np.sum(yes, 0) - tp, "tn": np.sum(no, 0) - fp}


def largest_only(y_pred: tf.Tensor, k: int) -> tf.Tensor:
    """Predictions with all but the k largest of the last axis far below any threshold."""
    classes = y_pred.shape[-1]
    flat = tf.reshape(y_pred, [-1, classes])
    values, indices = tf.math.top_k(flat, k)
    rows = tf.broadcast_to(tf.range(tf.shape(flat)[0])[:, tf.newaxis], tf.shape(indices))
    kept = tf.tensor_scatter_nd_update(
        tf.fill(tf.shape(flat), NONE_LEFT_OUT), tf.stack([rows, indices], -1), values
    )
    return tf.reshape(kept, tf.shape(y_pred))


def checked_thresholds(
    thresholds: float | Sequence[float] | None, default: float
) -> tuple[Thresholds, bool]:
    """Thresholds in [0, 1], and whether there is a single one.

    Raises:
        ValueError: one lies outside.
    """
    if thresholds is None:
        return Thresholds([default]), True
    given = np.atleast_1d(np.asarray(thresholds, np.float64))
    if given.ndim > 1 or not given.size or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"thresholds={thresholds!r} must lie in [0, 1].")
    return Thresholds(given), given.size == 1
