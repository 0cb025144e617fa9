"""Cross-entropy over large vocabularies, without ever holding all logits."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import tensorflow as tf

from losses.base import TensorLike, as_tensor
from losses.scores import check_labels, check_positive


def chunked_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    kernel: TensorLike,
    bias: TensorLike | None = None,
    *,
    sample_weight: TensorLike | None = None,
    ignore_class: int | None = None,
    transpose_kernel: bool = False,
    chunk: int = 1024,
    training: bool = True,
) -> tf.Tensor:
    """Cross-entropy of class numbers against `y_pred @ kernel + bias`: [b, ...] -> [b, ...].

    The same as `sparse_categorical_crossentropy(y_true, y_pred @ kernel + bias, True)`, but the
    logits of only `chunk` rows exist at a time, where the usual form keeps those of all rows and
    their gradient. The gradients of each chunk are taken along with its values, while its logits
    are there; they are exact as long as the values are then only added up and scaled, as a trainer
    does. Where values are scaled one by one (or squared, ...) the gradient is still right, but the
    logits are computed once more: so pass weights here rather than multiply by them afterwards.

    Args:
        y_true: Class numbers in [0, k), of shape [b, ...].
        y_pred: What the last layer is applied to, [b, ..., d], of any float dtype; products are
            taken in it, the softmax in float32.
        kernel: [d, k], in the dtype of `y_pred` or cast to it; a tensor or variable.
        bias: [k] or None.
        sample_weight: [b, ...] or None: multiplies the values; no gradient reaches it.
        ignore_class: A class number (perhaps outside [0, k)) whose elements have the value 0.
        transpose_kernel: Whether the kernel is [k, d], as an embedding that is tied to the output.
        chunk: How many rows of logits exist at a time. Each chunk adds to the kernel's gradient
            once, so small ones cost time.
        training: Whether gradients may be asked for; without, only the values are computed.

    Returns:
        One value per class number, float32.

    Raises:
        ValueError: the shapes do not fit, or (eagerly) a class number is outside [0, k).

    Example:
        >>> hidden, kernel = tf.ones([2, 3, 4]), tf.zeros([4, 10])
        >>> chunked_crossentropy([[1, 2, 3], [4, 5, 6]], hidden, kernel).numpy().round(4)[0]
        array([2.3026, 2.3026, 2.3026], dtype=float32)
    """
    check_positive("chunk", chunk)
    labels, hidden = as_tensor(y_true), as_tensor(y_pred)
    kernel = tf.cast(as_tensor(kernel), hidden.dtype)
    _check(labels, hidden, kernel, transpose_kernel)
    d, k = hidden.shape[-1], kernel.shape[0 if transpose_kernel else 1]
    shape = tf.shape(labels)
    rows = tf.reshape(hidden, [-1, d])
    labels = tf.reshape(tf.cast(labels, tf.int64), [-1])
    weights = tf.ones(tf.shape(labels))
    if sample_weight is not None:
        weights = tf.reshape(tf.broadcast_to(tf.cast(sample_weight, tf.float32), shape), [-1])
    if ignore_class is not None:
        kept = labels != ignore_class
        labels, weights = tf.where(kept, labels, 0), tf.where(kept, weights, 0.0)
    if tf.executing_eagerly():
        check_labels(labels, tf.TensorSpec([None, k]))
    has_bias = bias is not None
    bias = tf.cast(as_tensor(bias), tf.float32) if has_bias else tf.zeros([k])

    @tf.custom_gradient
    def values(rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> Any:
        # Without stop_gradient a persistent tape keeps what the loop does, for nothing.
        over_chunks = partial(
            _over_chunks,
            labels=labels,
            rows=tf.stop_gradient(rows),
            kernel=tf.stop_gradient(kernel),
            bias=tf.stop_gradient(bias),
            has_bias=has_bias,
            transposed=transpose_kernel,
            chunk=chunk,
        )

        found, *gradients = over_chunks(weights, with_gradient=training)

        def gradient(dy: tf.Tensor) -> Any:
            if not training:
                raise ValueError(
                    "chunked_crossentropy was called with training=False, which computes no "
                    "gradient; pass training=True."
                )
            # Values that were only added up and scaled need no second look at the logits. A loop
            # of no steps rather than tf.cond, which XLA does not find again inside other loops.
            scale = tf.reduce_max(dy)
            alike = tf.equal(scale, tf.reduce_min(dy))
            to_rows, to_kernel, to_bias = (
                g * tf.cast(tf.where(alike, scale, 0.0), g.dtype) for g in gradients
            )
            _, more_rows, to_kernel, more_bias = over_chunks(
                weights * dy, with_gradient=True, needed=~alike, start=to_kernel
            )
            return to_rows + more_rows, to_kernel, to_bias + more_bias

        return found, gradient

    return tf.reshape(values(rows, kernel, bias), shape)


def z_loss(y_pred: TensorLike, coefficient: float = 1e-4, axis: int = -1) -> tf.Tensor:
    """`coefficient log(sum(exp(logits)))^2`: [b, ..., k] -> [b, ...], float32.

    Added to a cross-entropy it keeps logits from drifting (PaLM, Chowdhery et al. 2022).

    Args:
        y_pred: Logits.
        coefficient: Its weight.
        axis: The class axis.
    """
    logits = tf.cast(as_tensor(y_pred), tf.float32)
    return coefficient * tf.square(tf.reduce_logsumexp(logits, axis))


def _over_chunks(
    weights: tf.Tensor,
    *,
    labels: tf.Tensor,
    rows: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    has_bias: bool,
    transposed: bool,
    chunk: int,
    with_gradient: bool,
    needed: tf.Tensor | None = None,
    start: tf.Tensor | None = None,
) -> list[tf.Tensor]:
    """Weighted values [n], and the gradients of their sum: [n, d], kernel's, [k].

    Where not `needed` all are 0; the kernel's gradient is added to `start`.
    """
    n, d = rows.shape[0], rows.shape[1]
    size = tf.shape(rows)[0] if n is None else n
    chunks = -(-size // chunk) if n is None else math.ceil(n / chunk)
    rest = chunks * chunk - size
    # Rows that fill up the last chunk weigh nothing.
    rows_ = tf.reshape(tf.pad(rows, [[0, rest], [0, 0]]), [-1, chunk, d])
    labels_ = tf.reshape(tf.pad(labels, [[0, rest]]), [-1, chunk])
    weights_ = tf.reshape(tf.pad(weights, [[0, rest]]), [-1, chunk])

    def step(i: Any, values: Any, to_rows: Any, to_kernel: Any, to_bias: Any) -> Any:
        h, w = tf.gather(rows_, i), tf.gather(weights_, i)
        logits = tf.cast(tf.matmul(h, kernel, transpose_b=transposed), tf.float32)
        if has_bias:
            logits += bias
        value, gradient = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
            features=logits, labels=tf.gather(labels_, i)
        )
        values = values.write(i, value * w)
        if with_gradient:
            # Weights multiply the small side of each product, never all classes.
            if has_bias:
                to_bias += tf.linalg.matvec(gradient, w, transpose_a=True)
            gradient = tf.cast(gradient, h.dtype)
            weight = tf.cast(w, h.dtype)[:, tf.newaxis]
            back = tf.matmul(gradient, kernel, transpose_b=not transposed)
            to_rows = to_rows.write(i, back * weight)
            pair = (gradient, h * weight) if transposed else (h * weight, gradient)
            to_kernel += tf.cast(tf.matmul(*pair, transpose_a=True), tf.float32)
        return i + 1, values, to_rows, to_kernel, to_bias

    steps = chunks if needed is None else tf.where(needed, chunks, 0)
    if start is None:
        start = tf.zeros(kernel.shape if with_gradient else [])
    begin = (
        tf.constant(0),
        tf.TensorArray(tf.float32, size=chunks, element_shape=[chunk]),
        tf.TensorArray(rows.dtype, size=chunks if with_gradient else 0, element_shape=[chunk, d]),
        tf.cast(start, tf.float32),
        tf.zeros(bias.shape if with_gradient else []),
    )
    _, values, to_rows, to_kernel, to_bias = tf.while_loop(
        lambda i, *_: i < steps, step, begin, parallel_iterations=1
    )
    found = tf.reshape(values.stack(), [-1])[:size]
    if not with_gradient:
        return [found]
    back = tf.reshape(to_rows.stack(), [-1, d])[:size]
    return [found, back, tf.cast(to_kernel, kernel.dtype), to_bias]


def _check(labels: tf.Tensor, hidden: tf.Tensor, kernel: tf.Tensor, transposed: bool) -> None:
    if not labels.shape.is_compatible_with(hidden.shape[:-1]):
        raise ValueError(
            f"y_true has shape {labels.shape} and y_pred {hidden.shape}: y_true must have the "
            "shape of y_pred without its last axis."
        )
    inner = kernel.shape[1 if transposed else 0]
    if kernel.shape.rank != 2 or inner != hidden.shape[-1]:
        raise ValueError(
            f"kernel has shape {kernel.shape} and y_pred {hidden.shape}; with transpose_kernel="
            f"{transposed} it must be {'[k, d]' if transposed else '[d, k]'}, d being the last "
            "axis of y_pred."
        )
