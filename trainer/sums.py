"""Sums: what losses and metrics are while they travel, so that any two combine with ``+``."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf


class Sums(NamedTuple):
    """A weighted sum and the weight it stands for; its value is ``total / count``.

    Micro-batches, replicas, steps and windows of steps combine exactly by adding. On the graph's
    side both are float32 scalars; on the host they are float64.
    """

    total: Any
    count: Any

    @classmethod
    def of(cls, values: Any, weights: Any = None) -> Sums:
        """Sums `values` of any shape, each weighing one or its weight.

        Args:
            values: numbers, `[b, ...]`, any numeric or boolean dtype.
            weights: None, or weights that broadcast from the left: `[b]` weighs whole examples of
                `[b, t]` values.
        """
        values = tf.cast(values, tf.float32)
        if weights is None:
            return cls(tf.reduce_sum(values), tf.cast(tf.size(values), tf.float32))
        weights = spread(tf.cast(weights, tf.float32), values)
        return cls(tf.reduce_sum(values * weights), tf.reduce_sum(weights))

    @property
    def value(self) -> Any:
        """`total / count`, and 0 where nothing was counted."""
        if tf.is_tensor(self.total) or tf.is_tensor(self.count):
            return tf.math.divide_no_nan(self.total, self.count)
        return self.total / self.count if self.count else 0.0

    def __add__(self, other: Any) -> Sums:  # type: ignore[override]
        """Adds two sums of the same quantity."""
        return Sums(self.total + other.total, self.count + other.count)


def spread(weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Broadcasts `weights` `[b]`, `[b, 1]` or `[b, t]` over `values` `[b, t, ...]`, from the left.

    Raises:
        ValueError: the weights have more axes than the values, or other sizes along one.
    """
    have, want = weights.shape, values.shape
    if have.rank is None or want.rank is None:  # nothing can be checked before it runs
        ones = tf.ones([tf.rank(values) - tf.rank(weights)], tf.int32)
        weights = tf.reshape(weights, tf.concat([tf.shape(weights), ones], 0))
        return tf.broadcast_to(weights, tf.shape(values))
    while weights.shape.rank > want.rank and weights.shape[-1] == 1:
        weights = tf.squeeze(weights, -1)
    fits = weights.shape.rank <= want.rank and all(
        a in (None, 1, b) or b is None for a, b in zip(weights.shape, want, strict=False)
    )
    if not fits:
        raise ValueError(
            f"sample_weight has shape {have}, which does not fit the values of shape {want} that "
            "it weighs; pass one weight per example, [batch], or one per value."
        )
    for _ in range(want.rank - weights.shape.rank):
        weights = weights[..., tf.newaxis]
    return tf.broadcast_to(weights, tf.shape(values))
