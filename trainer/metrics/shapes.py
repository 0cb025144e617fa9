"""How the shapes of y_true and y_pred are brought together before they are compared."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def tensors(y_true: Any, y_pred: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Both as dense tensors."""
    return tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)


def same_shape(y_true: Any, y_pred: Any, metric: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Both in float32 (float64 stays) and of one shape: `[b]` meets `[b, 1]` as Keras does.

    Other shapes that differ are refused rather than broadcast: `[b, 1]` against `[b]` or `[b, k]`
    would compare every example with every other, in silence.

    Raises:
        ValueError: the shapes differ by more than a last axis of size 1.
    """
    y_true, y_pred = tensors(y_true, y_pred)
    dtype = tf.float64 if y_pred.dtype == tf.float64 else tf.float32
    y_true, y_pred = tf.cast(y_true, dtype), tf.cast(y_pred, dtype)
    true_rank, pred_rank = y_true.shape.rank, y_pred.shape.rank
    if true_rank is None or pred_rank is None:
        return y_true, y_pred
    if pred_rank == true_rank + 1 and y_pred.shape[-1] == 1:
        if true_rank == 1:
            y_true = y_true[:, tf.newaxis]
        else:
            y_pred = tf.squeeze(y_pred, -1)
    elif true_rank == pred_rank + 1 and y_true.shape[-1] == 1:
        if pred_rank == 1:
            y_pred = y_pred[:, tf.newaxis]
        else:
            y_true = tf.squeeze(y_true, -1)
    if not y_true.shape.is_compatible_with(y_pred.shape):
        raise ValueError(
            f"{metric}: y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be "
            "equal. Reshape the targets or the model's output."
        )
    return y_true, y_pred


def labels_and_scores(y_true: Any, y_pred: Any, metric: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Integer labels `[b, ...]` (also from `[b, ..., 1]`), int32, and scores `[b, ..., k]`.

    Raises:
        ValueError: the labels' axes are not those of the scores before the last.
    """
    y_true, y_pred = tensors(y_true, y_pred)
    if y_pred.shape.rank is None or y_pred.shape.rank < 2:
        raise ValueError(
            f"{metric}: y_pred has shape {y_pred.shape}; it must be [batch, ..., classes]."
        )
    labels = tf.cast(y_true, tf.int32)  # float labels too: a half-precision y_pred must not round
    if labels.shape.rank == y_pred.shape.rank and labels.shape[-1] == 1:
        labels = tf.squeeze(labels, -1)
    if not labels.shape.is_compatible_with(y_pred.shape[:-1]):
        raise ValueError(
            f"{metric}: y_true has shape {y_true.shape}, which does not fit y_pred of shape "
            f"{y_pred.shape}; integer labels are [batch, ...] or [batch, ..., 1]. For one-hot "
            f"targets use {metric.replace('Sparse', '')}."
        )
    return labels, y_pred


def onehot_and_scores(y_true: Any, y_pred: Any, metric: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels `[b, ...]` int32, the largest entry of one-hot targets, and scores `[b, ..., k]`.

    Raises:
        ValueError: the shapes differ.
    """
    y_true, y_pred = tensors(y_true, y_pred)
    if y_pred.shape.rank in (None, 1) or not y_true.shape.is_compatible_with(y_pred.shape):
        raise ValueError(
            f"{metric}: y_true has shape {y_true.shape} and y_pred {y_pred.shape}; both must be "
            f"[batch, ..., classes]. For integer labels use Sparse{metric}."
        )
    return tf.argmax(y_true, -1, output_type=tf.int32), y_pred
