"""Batch normalisation, over one replica or over all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .dtypes import at_least_float32
from .moments import checked_axis, normalize, pooled_moments, positive
from .recompute import update


class BatchNormalization(Layer):
    """Normalises each channel over the batch: `[b, ..., c] -> [b, ..., c]`.

    In training it uses the batch's mean and biased variance and moves the moving statistics
    towards them; in inference, or when `trainable` is False, it uses the moving statistics.
    Statistics and the arithmetic are float32. Ioffe and Szegedy 2015.

    Under `tf.distribute` each replica normalises with its own part of the batch unless
    `synchronized`: then all of them with the moments of the whole batch, however unequal their
    parts. The moving statistics are averaged over replicas when read from outside. A batch, or a
    replica's part, of no rows leaves them as they are.

    Args:
        axis: the axis that keeps its own statistics, usually the channels.
        momentum: of the moving statistics, `moving = moving * momentum + batch * (1 - momentum)`.
        epsilon: added to the variance.
        center: whether `beta` is added.
        scale: whether `gamma` multiplies.
        beta_initializer: of `beta`, `[c]`.
        gamma_initializer: of `gamma`, `[c]`.
        moving_mean_initializer: of `moving_mean`, `[c]`.
        moving_variance_initializer: of `moving_variance`, `[c]`.
        beta_regularizer: "l1", "l2", "l1_l2", or a callable beta -> scalar.
        gamma_regularizer: the same for gamma.
        synchronized: whether replicas share the batch statistics; sums go over the replicas
            twice a call, so it cannot run inside one XLA program there.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        *,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        synchronized: bool = False,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.axis = int(axis)
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in [0, 1], got {momentum!r}")
        self.momentum = float(momentum)
        self.epsilon = positive("epsilon", epsilon)
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.synchronized = bool(synchronized)

    def build(self, input_shape: Shape) -> None:
        """Creates `gamma`, `beta`, `moving_mean` and `moving_variance`, all `[c]`."""
        axis = checked_axis(self, self.axis, input_shape)
        shape = [self.known_axis(input_shape, axis)]
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                "gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer
            )
        if self.center:
            self.beta = self.add_weight(
                "beta", shape, self.beta_initializer, regularizer=self.beta_regularizer
            )
        self.moving_mean = self.add_weight(
            "moving_mean", shape, self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            "moving_variance", shape, self.moving_variance_initializer, trainable=False
        )
        self.fix_axes({self.axis: shape[0]})

    def call(self, inputs: tf.Tensor, training: bool = False, mask: Any = None) -> tf.Tensor:
        """`[b, ..., c] -> [b, ..., c]`; `mask` `[b, ...]` tells which positions count."""
        x = at_least_float32(inputs)
        rank = x.shape.rank
        axis = self.axis % rank
        if training and self.trainable:
            axes = [i for i in range(rank) if i != axis]
            mask = position_mask(self, mask, x, axis)
            mean, variance, count = pooled_moments(x, axes, mask, self._add_up())
            move(self.moving_mean, mean, self.momentum, count)
            move(self.moving_variance, variance, self.momentum, count)
        else:
            mean, variance = (
                tf.cast(self.moving_mean, x.dtype),
                tf.cast(self.moving_variance, x.dtype),
            )
        shape = channel_shape(rank, axis)
        gamma, beta = (
            None if p is None else tf.reshape(tf.cast(p, x.dtype), shape)
            for p in (self.gamma, self.beta)
        )
        mean, variance = tf.reshape(mean, shape), tf.reshape(variance, shape)
        y = normalize(x, mean, variance, gamma, beta, self.epsilon)
        return tf.cast(y, inputs.dtype)

    def _add_up(self) -> Callable[[tf.Tensor], tf.Tensor]:
        context = tf.distribute.get_replica_context()
        if not self.synchronized or context is None or context.num_replicas_in_sync == 1:
            return tf.identity
        return lambda sums: context.all_reduce(tf.distribute.ReduceOp.SUM, sums)


def channel_shape(rank: int, axis: int) -> list[int]:
    """The shape in which one value a channel broadcasts to an input of this rank."""
    return [-1] if axis == rank - 1 else [-1 if i == axis else 1 for i in range(rank)]


def position_mask(layer: Layer, mask: Any, x: tf.Tensor, axis: int) -> tf.Tensor | None:
    """A boolean mask `[b, ...]` as ones and zeros beside the channels; None stays None."""
    if mask is None:
        return None
    mask = tf.convert_to_tensor(mask)
    if mask.shape.rank != x.shape.rank - 1:
        raise ValueError(
            f"mask of {layer._label()} must have the input's shape without its channels, got shape "
            f"{mask.shape} for an input of shape {x.shape}"
        )
    return tf.expand_dims(tf.cast(tf.cast(mask, tf.bool), x.dtype), axis)


def move(moving: tf.Variable, value: tf.Tensor, momentum: float, count: tf.Tensor) -> None:
    """`moving * momentum + value * (1 - momentum)`; as it was where nothing was counted."""
    value = tf.cast(tf.stop_gradient(value), moving.dtype)
    old = tf.convert_to_tensor(moving)
    update(moving, tf.where(count > 0, old * momentum + value * (1.0 - momentum), old))
