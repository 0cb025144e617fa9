"""Layer, RMS and unit normalisation: each example over its own values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .dtypes import at_least_float32
from .moments import moments, over_axes, positive, scale_and_shift


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
        x = at_least_float32(inputs)
        axes = over_axes(self, self.axis, inputs.shape)
        mean, variance = moments(x, axes)
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
        x = at_least_float32(inputs)
        axes = over_axes(self, self.axis, inputs.shape)
        square = tf.reduce_mean(tf.square(x), axes, keepdims=True)
        y = scale_and_shift(x * tf.math.rsqrt(square + self.epsilon), self.scale, None, axes)
        return tf.cast(y, inputs.dtype)


class UnitNormalization(Layer):
    """Divides by the length of the values over `axis`: `[b, ..., d] -> [b, ..., d]`.

    A length below 1e-12 counts as that, so zeros stay zeros.

    Args:
        axis: the axis, or axes, whose values are one vector.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self, axis: int | Sequence[int] = -1, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., d] -> [b, ..., d]`."""
        x = at_least_float32(inputs)
        axes = over_axes(self, self.axis, inputs.shape)
        square = tf.reduce_sum(tf.square(x), axes, keepdims=True)
        return tf.cast(x * tf.math.rsqrt(tf.maximum(square, 1e-24)), inputs.dtype)
