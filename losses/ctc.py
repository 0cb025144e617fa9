"""CTC: the loss of a sequence of labels whose positions in time are not known."""

from __future__ import annotations

import tensorflow as tf

from losses.base import Loss, TensorLike, as_tensor

_LOG_ZERO = -1e30  # stands for log 0: finite, so that no gradient is NaN


def ctc(
    y_true: TensorLike,
    y_pred: TensorLike,
    label_length: TensorLike | None = None,
    logit_length: TensorLike | None = None,
) -> tf.Tensor:
    """Minus the log-probability of all alignments: [b, n] against [b, t, k] -> [b], float32.

    Graves et al. 2006: each step gives a label or the blank; repeats are merged, then blanks
    removed. Computed forwards in logarithms, in a loop over time that XLA compiles.

    Args:
        y_true: Labels in [1, k); class 0 is the blank, and fills up short sequences.
        y_pred: Logits, without a softmax.
        label_length: [b], how many labels of each row count; by default those that are not 0.
        logit_length: [b], how many time steps of each row count; by default all.

    Returns:
        The loss of each example. Where no alignment is possible (fewer steps than labels and the
        blanks between equal ones need) it is 1e30, where TensorFlow's own loss gives some finite
        number: leave such examples out, or give them weight 0.

    Raises:
        ValueError: other ranks, or (eagerly) labels outside [0, k).
    """
    labels = tf.cast(as_tensor(y_true), tf.int32)
    logits = tf.cast(as_tensor(y_pred), tf.float32)
    if labels.shape.rank != 2 or logits.shape.rank != 3:
        raise ValueError(
            f"y_true has shape {labels.shape} and y_pred {logits.shape}; CTC takes labels [b, n] "
            "and logits [b, t, k]."
        )
    _check_range(labels, logits)
    rows, steps = tf.shape(logits)[0], tf.shape(logits)[1]
    if label_length is None:
        label_length = tf.math.count_nonzero(labels, 1, dtype=tf.int32)
    if logit_length is None:
        logit_length = tf.fill([rows], steps)
    label_length, logit_length = tf.cast(label_length, tf.int32), tf.cast(logit_length, tf.int32)
    # Labels with a blank before, between and after: [b, s] with s = 2 n + 1.
    path = tf.pad(
        tf.reshape(tf.stack([tf.zeros_like(labels), labels], 2), [rows, -1]), [[0, 0], [0, 1]]
    )
    # Skipping a blank is allowed between different labels.
    skips = (path != 0) & (path != tf.pad(path, [[0, 0], [2, 0]])[:, :-2])
    states = tf.range(tf.shape(path)[1])[tf.newaxis]
    emitted = tf.gather(tf.nn.log_softmax(logits), path, axis=2, batch_dims=1)  # [b, t, s]
    alpha = _forward(emitted, skips, tf.where(states < 2, 0.0, _LOG_ZERO), logit_length)
    last = 2 * label_length[:, tf.newaxis]
    ends = (states == last) | ((states == last - 1) & (last > 0))
    return -tf.reduce_logsumexp(tf.where(ends, alpha, _LOG_ZERO), 1)


def _forward(
    emitted: tf.Tensor, skips: tf.Tensor, begin: tf.Tensor, logit_length: tf.Tensor
) -> tf.Tensor:
    """The log-probability of reaching each state after the last step of each row, [b, s]."""
    by_time = tf.transpose(emitted, [1, 0, 2])  # [t, b, s]

    def step(i: tf.Tensor, alpha: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        stay = alpha
        move = tf.pad(alpha, [[0, 0], [1, 0]], constant_values=_LOG_ZERO)[:, :-1]
        skip = tf.pad(alpha, [[0, 0], [2, 0]], constant_values=_LOG_ZERO)[:, :-2]
        skip = tf.where(skips, skip, _LOG_ZERO)
        # At the first step a path stands at one of the two first states and comes from nowhere.
        came = tf.where(i == 0, begin, tf.reduce_logsumexp(tf.stack([stay, move, skip]), 0))
        new = tf.maximum(came + tf.gather(by_time, i), _LOG_ZERO)
        return i + 1, tf.where((i < logit_length)[:, tf.newaxis], new, alpha)

    steps = emitted.shape[1]
    _, alpha = tf.while_loop(
        lambda i, _: i < tf.shape(by_time)[0],
        step,
        (tf.constant(0), tf.fill(tf.shape(by_time)[1:], _LOG_ZERO)),
        maximum_iterations=steps,  # XLA needs it to keep what the gradient reads
    )
    return alpha


def _check_range(labels: tf.Tensor, logits: tf.Tensor) -> None:
    if not tf.executing_eagerly():
        return
    numbers, k = labels.numpy(), int(logits.shape[-1])
    if numbers.size and (numbers.min() < 0 or numbers.max() >= k):
        raise ValueError(
            f"y_true holds labels from {numbers.min()} to {numbers.max()}, but y_pred has {k} "
            f"classes: they must lie in [1, {k}), or be 0 for padding."
        )


class CTC(Loss):
    """See `ctc`.

    Args:
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "ctc"):
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, n] against [b, t, k] -> [b]."""
        return ctc(y_true, y_pred)
