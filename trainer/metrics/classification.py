"""Accuracies: how often the prediction is the target."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from trainer.metrics.base import MeanMetric
from trainer.metrics.shapes import labels_and_scores, onehot_and_scores, same_shape


class Accuracy(MeanMetric):
    """How often the prediction equals the target; both `[b, ...]`, class numbers say."""

    direction = "max"

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(self.matches, name)

    def matches(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Whether each prediction is right, `[b, ...]`."""
        return tf.equal(*same_shape(y_true, y_pred, "Accuracy"))


class BinaryAccuracy(MeanMetric):
    """How often `y_pred > threshold` equals the target, 0 or 1; both `[b, ...]`.

    Args:
        name: the reported name.
        threshold: predictions above it mean 1.
    """

    direction = "max"

    def __init__(self, name: str = "binary_accuracy", *, threshold: float = 0.5) -> None:
        super().__init__(self.matches, name)
        self.threshold = threshold
        self.probabilities = 0.0 < threshold < 1.0

    def matches(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Whether each prediction is right, `[b, ...]`."""
        y_true, y_pred = same_shape(y_true, y_pred, "BinaryAccuracy")
        return tf.equal(y_true, tf.cast(y_pred > self.threshold, y_true.dtype))


class CategoricalAccuracy(MeanMetric):
    """How often the largest prediction is the class of a one-hot target; both `[b, ..., k]`."""

    direction = "max"

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(self.matches, name)

    def matches(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Whether each prediction is right, `[b, ...]`."""
        labels, scores = onehot_and_scores(y_true, y_pred, "CategoricalAccuracy")
        return tf.equal(labels, tf.argmax(scores, -1, output_type=tf.int32))


class SparseCategoricalAccuracy(MeanMetric):
    """How often the largest of `y_pred` `[b, ..., k]` is the integer label `[b, ...]`.

    Labels `[b, ..., 1]` are accepted. Labels are compared as integers, so half-precision
    predictions do not round them (Keras casts them to the dtype of the prediction).
    """

    direction = "max"

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(self.matches, name)

    def matches(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Whether each prediction is right, `[b, ...]`."""
        labels, scores = labels_and_scores(y_true, y_pred, "SparseCategoricalAccuracy")
        return tf.equal(labels, tf.argmax(scores, -1, output_type=tf.int32))


class TopKCategoricalAccuracy(MeanMetric):
    """How often the class of a one-hot target is among the `k` largest predictions.

    Args:
        k: how many predictions count.
        name: the reported name.
    """

    direction = "max"

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy") -> None:
        super().__init__(self.matches, name)
        self.k = checked_k(k)

    def matches(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Whether each target is among the first k, `[b, ...]`."""
        labels, scores = onehot_and_scores(y_true, y_pred, "TopKCategoricalAccuracy")
        return in_top_k(labels, scores, self.k)


class SparseTopKCategoricalAccuracy(MeanMetric):
    """How often the integer label `[b, ...]` is among the `k` largest of `y_pred` `[b, ..., n]`.

    Args:
        k: how many predictions count.
        name: the reported name.
        from_sorted_ids: `y_pred` holds class numbers, the likeliest first, rather than scores.
    """

    direction = "max"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        *,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(self.matches, name)
        self.k = checked_k(k)
        self.from_sorted_ids = from_sorted_ids

    def matches(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Whether each label is among the first k, `[b, ...]`."""
        labels, scores = labels_and_scores(y_true, y_pred, "SparseTopKCategoricalAccuracy")
        if self.from_sorted_ids:
            ids = tf.cast(scores[..., : self.k], tf.int32)
            return tf.reduce_any(tf.equal(labels[..., tf.newaxis], ids), -1)
        return in_top_k(labels, scores, self.k)


def in_top_k(labels: tf.Tensor, scores: tf.Tensor, k: int) -> tf.Tensor:
    """Whether fewer than `k` scores `[..., n]` exceed the label's own; ties count as within.

    The meaning of `tf.math.in_top_k` (a score that is not finite, or a label outside the classes,
    is never within), for any rank and dtype, and compilable by XLA.
    """
    classes = tf.shape(scores)[-1]
    inside = tf.clip_by_value(labels, 0, classes - 1)[..., tf.newaxis]
    own = tf.gather(scores, inside, batch_dims=labels.shape.rank)  # [..., 1]
    larger = tf.reduce_sum(tf.cast(scores > own, tf.int32), -1)
    known = tf.reduce_all(tf.math.is_finite(tf.cast(scores, tf.float32)), -1)
    return (larger < k) & known & (labels >= 0) & (labels < classes)


def checked_k(k: int) -> int:
    """A whole number from 1 on."""
    if isinstance(k, bool) or int(k) != k or k < 1:
        raise ValueError(f"k={k!r}: it must be a whole number from 1 on.")
    return int(k)
