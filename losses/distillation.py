"""Distillation: a student learns the distribution of a teacher."""

from __future__ import annotations

import tensorflow as tf

from losses.base import Loss, TensorLike, align
from losses.scores import check_classes, check_positive


def distillation(
    y_true: TensorLike, y_pred: TensorLike, temperature: float = 3.0, axis: int = -1
) -> tf.Tensor:
    """`T^2 KL(softmax(teacher / T) || softmax(student / T))`: [b, ..., k] -> [b, ...].

    Hinton et al. 2015; T^2 keeps the size of the gradient when T changes.

    Args:
        y_true: The teacher's logits; no gradient goes into them.
        y_pred: The student's logits, of the same shape.
        temperature: T, above 0: the higher, the more the small probabilities count.
        axis: The class axis.

    Raises:
        ValueError: the shapes differ, or there is a single class.
    """
    y_true, y_pred = align(y_true, y_pred)
    check_classes(y_pred, axis)
    teacher = tf.nn.log_softmax(tf.stop_gradient(y_true) / temperature, axis)
    student = tf.nn.log_softmax(y_pred / temperature, axis)
    return temperature**2 * tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis)


class Distillation(Loss):
    """See `distillation`.

    Args:
        temperature: Above 0.
        axis: The class axis.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        temperature: float = 3.0,
        *,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "distillation",
    ):
        super().__init__(name=name, reduction=reduction)
        self.temperature = check_positive("temperature", temperature)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., k] -> [b, ...]."""
        return distillation(y_true, y_pred, self.temperature, self.axis)
