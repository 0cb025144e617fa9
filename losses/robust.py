"""Cross-entropies changed for noisy labels, rare classes or sparse predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from losses.base import Loss, TensorLike, align, as_tensor
from losses.classification import categorical_crossentropy
from losses.scores import (
    check_classes,
    check_labels,
    check_positive,
    check_smoothing,
    class_numbers,
    logits_behind,
    normalised,
    smooth,
)


def categorical_generalized_cross_entropy(
    y_true: TensorLike, y_pred: TensorLike, q: float
) -> tf.Tensor:
    """`(1 - p_y^q) / q` of class numbers: [b, ...] against [b, ..., k] -> [b, ...].

    Zhang and Sabuncu 2018. Between cross-entropy (q towards 0) and mean absolute error (q = 1),
    which mislabelled examples hurt less.

    Args:
        y_true: Class numbers in [0, k).
        y_pred: Probabilities. Below 1e-7 they count as 1e-7, since the gradient at 0 is infinite
            (in Keras it is).
        q: Between 0 and 1, both excluded.

    Raises:
        ValueError: the shapes do not fit, or (eagerly) a class number is outside [0, k).
    """
    p = tf.cast(as_tensor(y_pred), tf.float32)
    labels = class_numbers(y_true, p)
    check_labels(labels, p)
    own = tf.gather(p, tf.cast(labels, tf.int32), batch_dims=labels.shape.rank)
    return (1.0 - tf.pow(tf.maximum(own, 1e-7), q)) / q


def categorical_poly_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    epsilon: float = 1.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tf.Tensor:
    """Cross-entropy plus `epsilon (1 - p_y)`: [b, ..., k] -> [b, ...] (Leng et al. 2022, Poly-1).

    Args:
        y_true: Target distributions; with one of several classes, p_y is `sum(y p)`.
        y_pred: Probabilities, or logits with `from_logits=True`, as in `categorical_crossentropy`.
        epsilon: How much more the first term of the series counts; 0 is cross-entropy.
        from_logits: Whether `y_pred` holds logits.
        label_smoothing: s in [0, 1]: targets become `y (1 - s) + s / k`.
        axis: The class axis.
    """
    values = categorical_crossentropy(y_true, y_pred, from_logits, label_smoothing, axis)
    scores, from_logits = logits_behind(as_tensor(y_pred), from_logits, "Softmax", axis)
    y_true, scores = align(y_true, scores)
    p = tf.nn.softmax(scores, axis) if from_logits else normalised(scores, axis)
    own = tf.reduce_sum(smooth(y_true, label_smoothing, axis) * p, axis)
    return values + epsilon * (1.0 - own)


def sparsemax_loss(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """The loss whose gradient is `sparsemax(z) - y`: [b, ..., k] -> [b, ...].

    Martins and Astudillo 2016. It is 0 once the right logit leads by 1 or more.

    Args:
        y_true: Target distributions, one-hot or soft.
        y_pred: Logits z, over the last axis.
    """
    y_true, z = align(y_true, y_pred)
    check_classes(z, -1)
    # max over p of (p.z - |p|^2 / 2) is reached at sparsemax(z), and its gradient is that p.
    p = tf.stop_gradient(sparsemax(z))
    best = tf.reduce_sum(p * z - 0.5 * tf.square(p), -1)
    return best - tf.reduce_sum(y_true * z - 0.5 * tf.square(y_true), -1)


def sparsemax(z: tf.Tensor) -> tf.Tensor:
    """The distribution nearest to z, over the last axis (Martins and Astudillo 2016)."""
    z = z - tf.reduce_max(z, -1, keepdims=True)
    largest = tf.sort(z, -1, direction="DESCENDING")
    rank = tf.range(1, tf.shape(z)[-1] + 1, dtype=z.dtype)
    sums = tf.cumsum(largest, -1)
    support = tf.cast(1.0 + rank * largest > sums, z.dtype)  # 1 for the first few, then 0
    size = tf.reduce_sum(support, -1, keepdims=True)
    threshold = (tf.reduce_sum(support * largest, -1, keepdims=True) - 1.0) / size
    return tf.maximum(z - threshold, 0.0)


def label_aware_margin(
    y_true: TensorLike, y_pred: TensorLike, margins: TensorLike, scale: float = 30.0
) -> tf.Tensor:
    """Cross-entropy of `scale (z - margin of the right class)`: [b, ...] -> [b, ...].

    LDAM (Cao et al. 2019): the right class must lead by its margin, which is larger for rare
    classes.

    Args:
        y_true: Class numbers in [0, k).
        y_pred: [b, ..., k], cosines of features and class weights, so in [-1, 1].
        margins: [k].
        scale: Of the logits.
    """
    z = tf.cast(as_tensor(y_pred), tf.float32)
    labels = class_numbers(y_true, z)
    check_labels(labels, z)
    own = tf.one_hot(labels, tf.shape(z)[-1])
    logits = scale * (z - own * tf.cast(margins, tf.float32))
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


class CategoricalGeneralizedCrossEntropy(Loss):
    """See `categorical_generalized_cross_entropy`.

    Args:
        q: Between 0 and 1, both excluded.
        reduction: See `Loss`.
        name: Name in logs.
    """

    class_numbers = True

    def __init__(
        self,
        q: float = 0.5,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
    ):
        super().__init__(name=name, reduction=reduction)
        if not 0.0 < q < 1.0:
            raise ValueError(
                f"q={q} must lie between 0 (cross-entropy) and 1 (mean absolute error)."
            )
        self.q = q

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ...] against [b, ..., k] -> [b, ...]."""
        return categorical_generalized_cross_entropy(y_true, y_pred, self.q)


class CategoricalPolyCrossentropy(Loss):
    """See `categorical_poly_crossentropy`.

    Args:
        epsilon: How much more the first term counts.
        from_logits: Whether predictions are logits.
        label_smoothing: Between 0 and 1.
        axis: The class axis.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        epsilon: float = 1.0,
        *,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_poly_crossentropy",
    ):
        super().__init__(name=name, reduction=reduction)
        self.epsilon = epsilon
        self.from_logits = from_logits
        self.label_smoothing = check_smoothing(label_smoothing)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return categorical_poly_crossentropy(
            y_true, y_pred, self.epsilon, self.from_logits, self.label_smoothing, self.axis
        )


class SparsemaxLoss(Loss):
    """See `sparsemax_loss`.

    Args:
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "sparsemax_loss"):
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return sparsemax_loss(y_true, y_pred)


class LabelAwareMargin(Loss):
    """See `label_aware_margin`; margins are `n^(-1/4)` of each class's count n, scaled.

    Args:
        class_counts: How many training examples each class has, [k], each above 0.
        max_margin: The margin of the rarest class.
        scale: Of the logits.
        reduction: See `Loss`.
        name: Name in logs.
    """

    class_numbers = True

    def __init__(
        self,
        class_counts: Sequence[float],
        *,
        max_margin: float = 0.5,
        scale: float = 30.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "label_aware_margin",
    ):
        super().__init__(name=name, reduction=reduction)
        counts = np.asarray(class_counts, np.float64)
        if counts.ndim != 1 or not counts.size or not (counts > 0).all():
            raise ValueError(
                f"class_counts={class_counts!r} must be one number above 0 for each class."
            )
        margins = counts**-0.25
        self.margins = np.float32(margins * (max_margin / margins.max()))
        self.scale = check_positive("scale", scale)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ...] against [b, ..., k] -> [b, ...]."""
        return label_aware_margin(y_true, y_pred, self.margins, self.scale)
