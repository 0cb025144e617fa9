"""Batch renormalisation: training outputs that agree with inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from .base import Shape
from .batch_normalization import BatchNormalization, channel_shape, move, position_mask
from .dtypes import at_least_float32
from .moments import normalize, pooled_moments


class BatchRenormalization(BatchNormalization):
    """Batch normalisation corrected towards moving statistics: `[b, ..., c] -> [b, ..., c]`.

    Ioffe 2017. In training the normalised values are `x_hat * r + d`, where `r = stddev / moving
    stddev` and `d = (mean - moving mean) / moving stddev`, clipped and constant to the gradient.
    The same as Keras's `BatchNormalization(renorm=True)`, with its weights in its order.

    Args:
        axis: the axis that keeps its own statistics, usually the channels.
        momentum: of the moving statistics that inference uses.
        renorm_clipping: "rmin", "rmax" and "dmax", each where it is to bound r or |d|.
        renorm_momentum: of the moving statistics that training is corrected by.
        epsilon: added to the variance.
        center: whether `beta` is added.
        scale: whether `gamma` multiplies.
        synchronized: whether replicas share the batch statistics, see `BatchNormalization`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        *,
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        synchronized: bool = False,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            axis,
            momentum,
            epsilon=epsilon,
            center=center,
            scale=scale,
            synchronized=synchronized,
            trainable=trainable,
            name=name,
        )
        self.renorm_clipping = None if renorm_clipping is None else dict(renorm_clipping)
        unknown = set(self.renorm_clipping or ()) - {"rmin", "rmax", "dmax"}
        if unknown:
            raise ValueError(
                f"renorm_clipping takes 'rmin', 'rmax' and 'dmax', got {sorted(unknown)}"
            )
        if not 0 <= renorm_momentum <= 1:
            raise ValueError(f"renorm_momentum must be in [0, 1], got {renorm_momentum!r}")
        self.renorm_momentum = float(renorm_momentum)

    def build(self, input_shape: Shape) -> None:
        """Creates the weights of BatchNormalization and the three statistics of renormalisation."""
        super().build(input_shape)
        shape = self.moving_mean.shape
        self.moving_stddev = self.add_weight("moving_stddev", shape, "ones", trainable=False)
        self.renorm_mean = self.add_weight("renorm_mean", shape, "zeros", trainable=False)
        self.renorm_stddev = self.add_weight("renorm_stddev", shape, "ones", trainable=False)

    def call(self, inputs: tf.Tensor, training: bool = False, mask: Any = None) -> tf.Tensor:
        """`[b, ..., c] -> [b, ..., c]`; `mask` `[b, ...]` tells which positions count."""
        if not (training and self.trainable):
            return super().call(inputs, training, mask)
        x = at_least_float32(inputs)
        rank = x.shape.rank
        axis = self.axis % rank
        axes = [i for i in range(rank) if i != axis]
        mask = position_mask(self, mask, x, axis)
        mean, variance, count = pooled_moments(x, axes, mask, self._add_up())
        stddev = tf.sqrt(variance + self.epsilon)
        r, d = self._corrections(mean, stddev)
        gamma = r if self.gamma is None else r * tf.cast(self.gamma, x.dtype)
        beta = d if self.gamma is None else d * tf.cast(self.gamma, x.dtype)
        if self.beta is not None:
            beta += tf.cast(self.beta, x.dtype)
        move(self.renorm_mean, mean, self.renorm_momentum, count)
        move(self.renorm_stddev, stddev, self.renorm_momentum, count)
        move(self.moving_mean, mean, self.momentum, count)
        move(self.moving_stddev, stddev, self.momentum, count)
        square = tf.nn.relu(tf.square(tf.convert_to_tensor(self.moving_stddev)) - self.epsilon)
        self.moving_variance.assign(tf.where(count > 0, square, self.moving_variance))
        shape = channel_shape(rank, axis)
        mean, variance, gamma, beta = (
            tf.reshape(part, shape) for part in (mean, variance, gamma, beta)
        )
        return tf.cast(normalize(x, mean, variance, gamma, beta, self.epsilon), inputs.dtype)

    def _corrections(self, mean: tf.Tensor, stddev: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The two corrections, r and d, from the statistics before this batch."""
        moving = tf.maximum(tf.cast(self.renorm_stddev, mean.dtype), self.epsilon**0.5)
        r = stddev / moving
        d = (mean - tf.cast(self.renorm_mean, mean.dtype)) / moving
        bounds = self.renorm_clipping or {}
        if "rmin" in bounds:
            r = tf.maximum(r, bounds["rmin"])
        if "rmax" in bounds:
            r = tf.minimum(r, bounds["rmax"])
        if "dmax" in bounds:
            d = tf.clip_by_value(d, -bounds["dmax"], bounds["dmax"])
        return tf.stop_gradient(r), tf.stop_gradient(d)
