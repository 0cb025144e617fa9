"""Focal losses: cross-entropies that look away from easy examples."""

from __future__ import annotations

import tensorflow as tf

from losses.base import Loss, TensorLike, align
from losses.scores import binary_values, check_classes, check_smoothing, normalised, smooth


def binary_focal_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tf.Tensor:
    """Binary cross-entropy times `(1 - p_t)^gamma`, mean over `axis` (Lin et al. 2017).

    p_t is the probability given to the right answer. With `apply_class_balancing`, class 1 also
    weighs `alpha` and class 0 `1 - alpha`. Logits are turned into probabilities first, as in Keras.
    """
    y_true, y_pred = align(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    p = tf.sigmoid(y_pred) if from_logits else y_pred
    p_t = y_true * p + (1.0 - y_true) * (1.0 - p)
    values = tf.pow(1.0 - p_t, gamma) * binary_values(y_true, p)
    if apply_class_balancing:
        values *= y_true * alpha + (1.0 - y_true) * (1.0 - alpha)
    return tf.reduce_mean(values, axis=axis)


def categorical_focal_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tf.Tensor:
    """`sum_k alpha (1 - p_k)^gamma (-y_k log p_k)`: [b, ..., k] -> [b, ...] (Lin et al. 2017).

    Logits are turned into probabilities first, and those are clipped, as in Keras.
    """
    y_true, y_pred = align(y_true, y_pred)
    check_classes(y_pred, axis)
    y_true = smooth(y_true, label_smoothing, axis)
    if from_logits:
        y_pred = tf.nn.softmax(y_pred, axis=axis)
    p = normalised(y_pred, axis)
    return tf.reduce_sum(alpha * tf.pow(1.0 - p, gamma) * -y_true * tf.math.log(p), axis)


class BinaryFocalCrossentropy(Loss):
    """See `binary_focal_crossentropy`.

    Args:
        apply_class_balancing: Whether to weigh the classes by `alpha` and `1 - alpha`.
        alpha: Weight of class 1.
        gamma: The focusing exponent; 0 is plain cross-entropy.
        from_logits: Whether predictions are logits.
        label_smoothing: Between 0 and 1.
        axis: The axis of the mean.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        *,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
    ):
        super().__init__(name=name, reduction=reduction)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = check_smoothing(label_smoothing)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return binary_focal_crossentropy(
            y_true,
            y_pred,
            self.apply_class_balancing,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )


class CategoricalFocalCrossentropy(Loss):
    """See `categorical_focal_crossentropy`.

    Args:
        alpha: A factor of all values.
        gamma: The focusing exponent; 0 is plain cross-entropy.
        from_logits: Whether predictions are logits.
        label_smoothing: Between 0 and 1.
        axis: The class axis.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        *,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
    ):
        super().__init__(name=name, reduction=reduction)
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = check_smoothing(label_smoothing)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return categorical_focal_crossentropy(
            y_true,
            y_pred,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )
