"""Cross-entropies and the divergence of distributions: losses between classes and scores."""

from __future__ import annotations

import tensorflow as tf

from losses.base import (
    EPSILON,
    FunctionLoss,
    Loss,
    TensorLike,
    align,
    as_tensor,
    check_same_shape,
)
from losses.scores import (
    binary_values,
    check_classes,
    check_labels,
    check_smoothing,
    class_axis_last,
    class_numbers,
    logits_behind,
    normalised,
    smooth,
)


def binary_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tf.Tensor:
    """Cross-entropy of independent yes/no labels, mean over `axis`: [b, ..., k] -> [b, ...].

    Args:
        y_true: Targets in [0, 1], any dtype.
        y_pred: Probabilities, or logits with `from_logits=True` (recommended: exact at any size).
            Probabilities that a sigmoid has just made are replaced by the logits behind it, as in
            Keras (see `logits_behind`); others are clipped to [1e-7, 1 - 1e-7].
        from_logits: Whether `y_pred` holds logits.
        label_smoothing: s in [0, 1]: targets become `y (1 - s) + s / 2`.
        axis: The axis of the mean.

    Raises:
        ValueError: the shapes differ by more than one last axis of size 1.
    """
    scores, from_logits = logits_behind(as_tensor(y_pred), from_logits, "Sigmoid")
    y_true, scores = align(y_true, scores)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        values = tf.nn.sigmoid_cross_entropy_with_logits(labels=y_true, logits=scores)
    else:
        values = binary_values(y_true, scores)
    return tf.reduce_mean(values, axis=axis)


def categorical_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tf.Tensor:
    """Cross-entropy of a distribution over k classes: [b, ..., k] -> [b, ...], float32.

    Args:
        y_true: Target distributions (one-hot or soft), any dtype, of the shape of `y_pred`.
        y_pred: Probabilities, or logits with `from_logits=True` (recommended). Probabilities that a
            softmax has just made are replaced by the logits behind it, as in Keras (see
            `logits_behind`); others are divided by their sum and clipped to [1e-7, 1 - 1e-7].
        from_logits: Whether `y_pred` holds logits.
        label_smoothing: s in [0, 1]: targets become `y (1 - s) + s / k`.
        axis: The class axis.

    Raises:
        ValueError: the shapes differ, or there is a single class.
    """
    scores, from_logits = logits_behind(as_tensor(y_pred), from_logits, "Softmax", axis)
    y_true = tf.cast(as_tensor(y_true), tf.float32)
    scores = tf.cast(scores, tf.float32)
    check_same_shape(y_true, scores, (y_true.shape, scores.shape))
    check_classes(scores, axis)
    y_true = smooth(y_true, label_smoothing, axis)
    if from_logits:
        return tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=scores, axis=axis)
    return -tf.reduce_sum(y_true * tf.math.log(normalised(scores, axis)), axis)


def sparse_categorical_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> tf.Tensor:
    """Cross-entropy of class numbers: [b, ...] against [b, ..., k] -> [b, ...], float32.

    Args:
        y_true: Class numbers in [0, k), any dtype, of shape [b, ...] or [b, ..., 1]. Outside that
            range: an error when run eagerly; in a graph the value of such an element is undefined
            (TensorFlow raises on CPU, and gives NaN on GPU and under XLA).
        y_pred: Probabilities, or logits with `from_logits=True` (recommended). Probabilities that a
            softmax has just made are replaced by the logits behind it, as in Keras (see
            `logits_behind`); others are clipped to [1e-7, 1 - 1e-7] and then normalised.
        from_logits: Whether `y_pred` holds logits.
        ignore_class: A class number (perhaps outside [0, k)) whose elements have the value 0.
        axis: The class axis; Keras on TensorFlow takes the last only.

    Raises:
        ValueError: the shapes do not fit, or (eagerly) a class number is outside [0, k).
    """
    scores, from_logits = logits_behind(as_tensor(y_pred), from_logits, "Softmax", axis)
    labels = class_numbers(y_true, scores, axis)
    scores = class_axis_last(tf.cast(scores, tf.float32), axis)
    valid = None
    if ignore_class is not None:
        valid = tf.not_equal(labels, ignore_class)
        labels = tf.where(valid, labels, 0)
        # A score of 0 in ignored places keeps a NaN there out of the gradient.
        scores = tf.where(valid[..., tf.newaxis], scores, 0.0)
    check_labels(labels, scores)
    if not from_logits:
        scores = tf.math.log(tf.clip_by_value(scores, EPSILON, 1.0 - EPSILON))
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores)
    return values if valid is None else tf.where(valid, values, 0.0)


def kl_divergence(y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
    """`sum(y_true log(y_true / y_pred))` over the last axis; both are clipped to [1e-7, 1]."""
    y_true, y_pred = align(y_true, y_pred)
    y_true = tf.clip_by_value(y_true, EPSILON, 1.0)
    y_pred = tf.clip_by_value(y_pred, EPSILON, 1.0)
    return tf.reduce_sum(y_true * tf.math.log(y_true / y_pred), axis=-1)


class BinaryCrossentropy(Loss):
    """See `binary_crossentropy`.

    Args:
        from_logits: Whether predictions are logits.
        label_smoothing: Between 0 and 1.
        axis: The axis of the mean.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        from_logits: bool = False,
        *,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
    ):
        super().__init__(name=name, reduction=reduction)
        self.from_logits = from_logits
        self.label_smoothing = check_smoothing(label_smoothing)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return binary_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


class CategoricalCrossentropy(Loss):
    """See `categorical_crossentropy`.

    Args:
        from_logits: Whether predictions are logits.
        label_smoothing: Between 0 and 1.
        axis: The class axis.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        from_logits: bool = False,
        *,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
    ):
        super().__init__(name=name, reduction=reduction)
        self.from_logits = from_logits
        self.label_smoothing = check_smoothing(label_smoothing)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


class SparseCategoricalCrossentropy(Loss):
    """See `sparse_categorical_crossentropy`.

    Args:
        from_logits: Whether predictions are logits.
        ignore_class: A class number whose elements count for nothing, in the mean either.
        reduction: See `Loss`.
        axis: The class axis.
        name: Name in logs.
    """

    class_numbers = True

    def __init__(
        self,
        from_logits: bool = False,
        *,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
    ):
        super().__init__(name=name, reduction=reduction)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ...] against [b, ..., k] -> [b, ...]."""
        return sparse_categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.ignore_class, self.axis
        )

    def mask(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor | None:
        """True where the label is not `ignore_class`: [b, ...]; None without one."""
        if self.ignore_class is None:
            return None
        return tf.not_equal(class_numbers(y_true, as_tensor(y_pred), self.axis), self.ignore_class)


class KLDivergence(FunctionLoss):
    """See `kl_divergence`."""

    function = staticmethod(kl_divergence)
