"""What the classification losses share: logits, labels and clipped probabilities."""

from __future__ import annotations

import warnings

import tensorflow as tf

from losses.base import EPSILON, TensorLike, as_tensor


def logits_behind(
    y_pred: tf.Tensor, from_logits: bool, activation: str, axis: int = -1
) -> tuple[tf.Tensor, bool]:
    """The logits that a softmax or sigmoid has just turned into `y_pred`, when they can be known.

    They are known when Keras attached them to the tensor, or when, in a graph, the tensor is the
    direct output of the operation named `activation` (perhaps cast). Then the loss is taken from
    the logits, so its gradient does not vanish where a probability rounds to 0 or 1.

    Returns:
        (logits, True), or (y_pred, from_logits) where nothing is known.
    """
    logits = getattr(y_pred, "_keras_logits", None)
    if logits is None and not tf.executing_eagerly() and axis in (-1, (y_pred.shape.rank or 0) - 1):
        source = y_pred
        while isinstance(source, tf.Tensor) and _op_type(source) in ("Cast", "Identity"):
            source = source.op.inputs[0]
        if _op_type(source) == activation:
            logits = source.op.inputs[0]
    if logits is None or logits.shape.rank != y_pred.shape.rank:
        return y_pred, from_logits
    if from_logits:
        warnings.warn(
            f"from_logits=True, but y_pred is the output of a {activation.lower()}: the loss is "
            "taken from the logits behind it. Drop that activation, or pass from_logits=False.",
            stacklevel=3,
        )
    return logits, True


def class_numbers(y_true: TensorLike, y_pred: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """Integer labels in the shape of `y_pred` without its class axis.

    Raises:
        ValueError: they do not have that shape (a class axis of size 1 apart).
    """
    labels = as_tensor(y_true)
    if labels.dtype not in (tf.int32, tf.int64):
        labels = tf.cast(labels, tf.int64)
    if y_pred.shape.rank is None or labels.shape.rank is None:
        return labels
    wanted = y_pred.shape.as_list()
    if not wanted:
        raise ValueError("y_pred is a scalar, but it needs a class axis: pass shape [b, k].")
    del wanted[axis]
    given = labels.shape
    if labels.shape.rank == len(wanted) + 1 and labels.shape[axis] == 1:
        labels = tf.squeeze(labels, axis)
    if not labels.shape.is_compatible_with(wanted):
        raise ValueError(
            f"y_true has shape {given} and y_pred has shape {y_pred.shape}: for class numbers, "
            f"y_true must have shape {tf.TensorShape(wanted)}, the shape of y_pred without its "
            f"class axis (axis={axis}). For one-hot targets use categorical_crossentropy."
        )
    return labels


def check_labels(labels: tf.Tensor, scores: tf.Tensor) -> None:
    """Refuse class numbers outside [0, k), where their values are at hand."""
    if not tf.executing_eagerly():
        return
    numbers, k = labels.numpy(), int(scores.shape[-1])
    if numbers.size and (numbers.min() < 0 or numbers.max() >= k):
        raise ValueError(
            f"y_true holds class numbers from {numbers.min()} to {numbers.max()}, but y_pred has "
            f"{k} classes: they must lie in [0, {k}). Set ignore_class for a 'no label' number."
        )


def check_classes(y_pred: tf.Tensor, axis: int) -> None:
    """Refuse a single class, whose cross-entropy is 0 everywhere."""
    if y_pred.shape.rank and y_pred.shape[axis] == 1:
        raise ValueError(
            f"y_pred has shape {y_pred.shape}: a single class (axis={axis}) makes this loss 0 "
            "everywhere. Use binary_crossentropy for yes/no labels."
        )


def check_smoothing(label_smoothing: float) -> float:
    """The argument, when it lies in [0, 1]."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing={label_smoothing} must lie in [0, 1].")
    return label_smoothing


def check_positive(argument: str, value: float) -> float:
    """The argument, when it is above 0."""
    if not value > 0:
        raise ValueError(f"{argument}={value} must be above 0.")
    return value


def smooth(y_true: tf.Tensor, label_smoothing: float, axis: int) -> tf.Tensor:
    """`y (1 - s) + s / k` over k classes."""
    if not label_smoothing:
        return y_true
    k = tf.cast(tf.shape(y_true)[axis], tf.float32)
    return y_true * (1.0 - label_smoothing) + label_smoothing / k


def class_axis_last(scores: tf.Tensor, axis: int) -> tf.Tensor:
    """The scores with their class axis moved to the end."""
    rank = scores.shape.rank
    if axis == -1 or rank is None or axis % rank == rank - 1:
        return scores
    order = [i for i in range(rank) if i != axis % rank] + [axis % rank]
    return tf.transpose(scores, order)


def normalised(p: tf.Tensor, axis: int) -> tf.Tensor:
    """Probabilities divided by their sum, then clipped, in Keras's order (but 0 / 0 is 0)."""
    total = tf.reduce_sum(p, axis, keepdims=True)
    p = p / tf.where(tf.equal(total, 0.0), 1.0, total)
    return tf.clip_by_value(p, EPSILON, 1.0 - EPSILON)


def binary_values(y_true: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of each probability, clipped."""
    p = tf.clip_by_value(p, EPSILON, 1.0 - EPSILON)
    return -(y_true * tf.math.log(p) + (1.0 - y_true) * tf.math.log(1.0 - p))


def _op_type(tensor: tf.Tensor) -> str | None:
    try:
        return tensor.op.type
    except AttributeError:  # eager tensors have no operation
        return None
