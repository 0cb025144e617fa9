"""Means and variances, and how a normalised tensor is scaled: what all normalisations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from .base import Layer


def normalize(
    x: tf.Tensor,
    mean: tf.Tensor,
    variance: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
    epsilon: float,
) -> tf.Tensor:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`; all broadcast to x."""
    factor = tf.math.rsqrt(variance + epsilon)
    if gamma is not None:
        factor *= gamma
    shift = -mean * factor
    if beta is not None:
        shift += beta
    # One multiplication and one addition pass over x, whatever the parts are.
    return x * factor + shift


def moments(x: tf.Tensor, axes: Sequence[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and biased variance of x over `axes`, which stay as axes of size 1."""
    return tf.nn.moments(x, list(axes), keepdims=True)


def pooled_moments(
    x: tf.Tensor,
    axes: Sequence[int],
    mask: tf.Tensor | None = None,
    add_up: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Mean, biased variance and count of x over `axes`, and over all replicas by `add_up`.

    The squares are taken about the mean of all, so that a mean far from zero does not cancel; this
    takes a second sum over replicas. Without a single value the mean and variance are 0.

    Args:
        x: `[..., c, ...]`, floating.
        axes: all but the one of c.
        mask: None, or `[..., 1, ...]` of ones and zeros in the dtype of x: what counts.
        add_up: the sum of a tensor over replicas.

    Returns:
        Mean `[c]`, variance `[c]` and the scalar count of the values behind each of them.
    """
    axes = list(axes)
    if mask is None:
        # Exact below 2^24 values a channel, and off by less than 1e-7 of it above.
        sizes = [x.shape[i] if x.shape[i] is not None else tf.shape(x)[i] for i in axes]
        count = tf.cast(tf.reduce_prod(tf.stack(sizes)), x.dtype)
    else:
        # A size of 1 of the mask, beside the channels', stands for the whole axis.
        count = tf.reduce_sum(mask)
        x = tf.where(mask > 0, x, tf.zeros_like(x))  # also where it is not finite
    sums = add_up(tf.concat([tf.reduce_sum(x, axes), [count]], 0))
    total, count = sums[:-1], sums[-1]
    mean = tf.math.divide_no_nan(total, count)
    shape = [1 if i in axes else -1 for i in range(x.shape.rank)]
    # The squares' sum is smallest about the mean, so its gradient by the mean is zero.
    squares = tf.math.squared_difference(x, tf.reshape(tf.stop_gradient(mean), shape))
    if mask is not None:
        squares *= mask
    variance = tf.math.divide_no_nan(add_up(tf.reduce_sum(squares, axes)), count)
    return mean, variance, count


def scale_and_shift(
    x: tf.Tensor, gamma: tf.Tensor | None, beta: tf.Tensor | None, axes: Sequence[int]
) -> tf.Tensor:
    """`x * gamma + beta`, where gamma and beta have the shape of x's `axes`."""
    rank = x.shape.rank
    last = list(axes) == list(range(rank - len(axes), rank))
    shape = [x.shape[i] if i in axes else 1 for i in range(rank)]
    for weight, combine in ((gamma, tf.multiply), (beta, tf.add)):
        if weight is not None:
            weight = tf.cast(weight, x.dtype)
            x = combine(x, weight if last else tf.reshape(weight, shape))
    return x


def over_axes(layer: Layer, axis: int | Sequence[int], shape: Any) -> list[int]:
    """The axes as sorted numbers from 0."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    found = sorted({checked_axis(layer, a, shape) for a in axes})
    if not found:
        raise ValueError(f"axis of {layer._label()} must name at least one axis, got {axis!r}")
    return found


def checked_axis(layer: Layer, axis: int, shape: Any) -> int:
    """The axis as a number from 0; an error if the input lacks it, or if it is the batch."""
    rank = len(shape)
    if not -rank <= axis < rank or axis % rank == 0:
        raise ValueError(
            f"axis of {layer._label()} must be one of 1 to {rank - 1} or -{rank - 1} to -1 for "
            f"inputs of shape {tuple(shape)} (0 is the batch), got {axis}"
        )
    return axis % rank


def positive(argument: str, value: float) -> float:
    """`value` as a positive float, or an error."""
    if not value > 0:
        raise ValueError(f"{argument} must be positive, got {value!r}")
    return float(value)
