"""Batch, layer, RMS and group normalisation, with statistics in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .core import positive_int


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


def moments(x: tf.Tensor, axes: Sequence[int], keepdims: bool = False) -> tuple[Any, Any]:
    """Mean and biased variance of x over `axes`."""
    return tf.nn.moments(x, list(axes), keepdims=keepdims)


class BatchNormalization(Layer):
    """Normalises each channel over the batch: `[b, ..., c] -> [b, ..., c]`.

    In training it uses the batch's mean and biased variance and moves the moving statistics
    towards them; in inference, or when `trainable` is False, it uses the moving statistics.
    Statistics and the arithmetic are float32. Ioffe and Szegedy 2015.

    Under `tf.distribute` each replica normalises with its own part of the batch unless
    `synchronized`; the moving statistics are averaged over replicas when read from outside.

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
        synchronized: whether replicas share the batch statistics.
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

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., c] -> [b, ..., c]`."""
        x = tf.cast(inputs, tf.float32)
        rank = x.shape.rank
        axis = self.axis % rank
        if training and self.trainable:
            mean, variance = self._batch_moments(x, [i for i in range(rank) if i != axis])
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        else:
            mean = tf.convert_to_tensor(self.moving_mean)
            variance = tf.convert_to_tensor(self.moving_variance)
        shape = [-1 if i == axis else 1 for i in range(rank)]
        if axis == rank - 1:
            shape = [-1]
        gamma, beta = (None if p is None else tf.reshape(p, shape) for p in (self.gamma, self.beta))
        mean, variance = tf.reshape(mean, shape), tf.reshape(variance, shape)
        y = normalize(x, mean, variance, gamma, beta, self.epsilon)
        return tf.cast(y, inputs.dtype)

    def _batch_moments(self, x: tf.Tensor, axes: list[int]) -> tuple[tf.Tensor, tf.Tensor]:
        mean, variance = moments(x, axes)
        context = tf.distribute.get_replica_context()
        if not self.synchronized or context is None or context.num_replicas_in_sync == 1:
            return mean, variance
        # Replicas hold equal shares, so means of means are exact: var = E[x^2] - E[x]^2.
        both = tf.stack([mean, variance + tf.square(mean)])
        mean, square = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.MEAN, both))
        return mean, square - tf.square(mean)

    def _move(self, moving: tf.Variable, value: tf.Tensor) -> None:
        value = tf.stop_gradient(value)
        moving.assign(moving * self.momentum + value * (1.0 - self.momentum))


class LayerNormalization(Layer):
    """Normalises each example over `axis`: `[b, ..., d] -> [b, ..., d]`. Ba et al. 2016.

    Args:
        axis: the axis, or axes, to normalise over.
        epsilon: added to the variance.
        center: whether `beta` is added.
        scale: whether `gamma` multiplies.
        beta_initializer: of `beta`, whose shape is the normalised axes'.
        gamma_initializer: of `gamma`, the same.
        beta_regularizer: "l1", "l2", "l1_l2", or a callable beta -> scalar.
        gamma_regularizer: the same for gamma.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.axis = axis if isinstance(axis, int) else tuple(axis)
        self.epsilon = positive("epsilon", epsilon)
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer

    def build(self, input_shape: Shape) -> None:
        """Creates `gamma` and `beta` of the normalised axes' shape."""
        axes = over_axes(self, self.axis, input_shape)
        shape = [self.known_axis(input_shape, a) for a in axes]
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                "gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer
            )
        if self.center:
            self.beta = self.add_weight(
                "beta", shape, self.beta_initializer, regularizer=self.beta_regularizer
            )
        self.fix_axes({a - len(input_shape): s for a, s in zip(axes, shape, strict=True)})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., d] -> [b, ..., d]`."""
        x = tf.cast(inputs, tf.float32)
        axes = over_axes(self, self.axis, inputs.shape)
        mean, variance = moments(x, axes, keepdims=True)
        # Subtract first: a mean far from zero would cancel badly in x * factor + shift.
        y = (x - mean) * tf.math.rsqrt(variance + self.epsilon)
        y = scale_and_shift(y, self.gamma, self.beta, axes)
        return tf.cast(y, inputs.dtype)


class RMSNormalization(Layer):
    """Divides by the root mean square over `axis`: `[b, ..., d] -> [b, ..., d]`.

    Zhang and Sennrich 2019.

    Args:
        axis: the axis, or axes, to normalise over.
        epsilon: added to the mean square.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-6,
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.axis = axis if isinstance(axis, int) else tuple(axis)
        self.epsilon = positive("epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        """Creates `scale` of the normalised axes' shape."""
        axes = over_axes(self, self.axis, input_shape)
        shape = [self.known_axis(input_shape, a) for a in axes]
        self.scale = self.add_weight("scale", shape, "ones")
        self.fix_axes({a - len(input_shape): s for a, s in zip(axes, shape, strict=True)})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., d] -> [b, ..., d]`."""
        x = tf.cast(inputs, tf.float32)
        axes = over_axes(self, self.axis, inputs.shape)
        square = tf.reduce_mean(tf.square(x), axes, keepdims=True)
        y = scale_and_shift(x * tf.math.rsqrt(square + self.epsilon), self.scale, None, axes)
        return tf.cast(y, inputs.dtype)


class GroupNormalization(Layer):
    """Normalises each example over groups of channels: `[b, ..., c] -> [b, ..., c]`.

    Wu and He 2018. `groups=-1` gives each channel its own group (instance normalisation).

    Args:
        groups: number of groups the channels are split in; -1 means one for each channel.
        axis: the channels' axis.
        epsilon: added to the variance.
        center: whether `beta` is added.
        scale: whether `gamma` multiplies.
        beta_initializer: of `beta`, `[c]`.
        gamma_initializer: of `gamma`, `[c]`.
        beta_regularizer: "l1", "l2", "l1_l2", or a callable beta -> scalar.
        gamma_regularizer: the same for gamma.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        *,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.groups = -1 if groups == -1 else positive_int("groups", groups)
        self.axis = int(axis)
        self.epsilon = positive("epsilon", epsilon)
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer

    def build(self, input_shape: Shape) -> None:
        """Creates `gamma` and `beta`, `[c]`."""
        axis = checked_axis(self, self.axis, input_shape)
        channels = self.known_axis(input_shape, axis)
        if channels % (channels if self.groups == -1 else self.groups):
            raise ValueError(
                f"{self._label()} splits channels in groups={self.groups}, but axis {self.axis} of "
                f"shape {input_shape} has {channels}; they must be divisible by groups"
            )
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                "gamma", [channels], self.gamma_initializer, regularizer=self.gamma_regularizer
            )
        if self.center:
            self.beta = self.add_weight(
                "beta", [channels], self.beta_initializer, regularizer=self.beta_regularizer
            )
        self.fix_axes({self.axis: channels})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., c] -> [b, ..., c]`."""
        x = tf.cast(inputs, tf.float32)
        rank = x.shape.rank
        axis = self.axis % rank
        channels = x.shape[axis]
        groups = channels if self.groups == -1 else self.groups
        shape = tf.shape(x)
        split = [*tf.unstack(shape[:axis]), groups, channels // groups]
        parts = tf.reshape(x, [*split, *tf.unstack(shape[axis + 1 :])])
        mean, variance = moments(parts, [i for i in range(1, rank + 1) if i != axis], True)
        y = (parts - mean) * tf.math.rsqrt(variance + self.epsilon)
        y = tf.ensure_shape(tf.reshape(y, shape), x.shape)
        return tf.cast(scale_and_shift(y, self.gamma, self.beta, [axis]), inputs.dtype)


def scale_and_shift(
    x: tf.Tensor, gamma: tf.Tensor | None, beta: tf.Tensor | None, axes: Sequence[int]
) -> tf.Tensor:
    """`x * gamma + beta`, where gamma and beta have the shape of x's `axes`."""
    rank = x.shape.rank
    last = list(axes) == list(range(rank - len(axes), rank))
    shape = [x.shape[i] if i in axes else 1 for i in range(rank)]
    for weight, combine in ((gamma, tf.multiply), (beta, tf.add)):
        if weight is not None:
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
