"""Group and instance normalisation: each example over groups of its channels."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .core import positive_int
from .dtypes import at_least_float32
from .moments import checked_axis, moments, normalize, positive


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
        x = at_least_float32(inputs)
        rank = x.shape.rank
        axis = self.axis % rank
        channels = x.shape[axis]
        groups = channels if self.groups == -1 else self.groups
        shape = tf.shape(x)
        split = [*tf.unstack(shape[:axis]), groups, channels // groups]
        parts = tf.reshape(x, [*split, *tf.unstack(shape[axis + 1 :])])
        mean, variance = moments(parts, [i for i in range(1, rank + 1) if i != axis])
        # Scaled and shifted while split: one pass over x, and one over its gradient.
        wide = [1] * (rank + 1)
        wide[axis : axis + 2] = [groups, channels // groups]
        gamma, beta = (
            None if weight is None else tf.reshape(tf.cast(weight, x.dtype), wide)
            for weight in (self.gamma, self.beta)
        )
        y = tf.reshape(normalize(parts, mean, variance, gamma, beta, self.epsilon), shape)
        return tf.cast(tf.ensure_shape(y, x.shape), inputs.dtype)


class InstanceNormalization(GroupNormalization):
    """Normalises each channel of each example: `[b, ..., c] -> [b, ..., c]`.

    Ulyanov et al. 2016. `GroupNormalization` with a group for each channel.

    Args:
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

    def __init__(
        self,
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
        super().__init__(
            -1,
            axis,
            epsilon=epsilon,
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            trainable=trainable,
            name=name,
        )
