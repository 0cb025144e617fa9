"""NoisyDense: a dense layer whose weights carry learnt noise."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import activations, initializers
from .base import Layer, Shape
from .core import dense, positive_int
from .regularization import normal


class NoisyDense(Layer):
    """A dense layer with noise on its weights: `[b, ..., d] -> [b, ..., units]`.

    Fortunato et al. 2017. In training `w = mu + sigma * f(p) f(q)^T` with `f(x) = sign(x)
    sqrt(|x|)`, p of d and q of units standard normal draws, and the bias likewise with f(q); all
    rows of a call share them. In inference `w = mu`. mu starts uniform within `1 / sqrt(d)`, sigma
    as `sigma_zero / sqrt(d)`.

    Args:
        units: size of the output's last axis.
        activation: a name such as "relu", a callable, or None.
        sigma_zero: how large the noise is at first.
        use_bias: whether a bias is added.
        seed: an integer mixed into the seed of each draw.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        units: int,
        activation: Any = None,
        *,
        sigma_zero: float = 0.5,
        use_bias: bool = True,
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.units = positive_int("units", units)
        self.activation = activations.get(activation)
        if sigma_zero < 0:
            raise ValueError(f"sigma_zero must be 0 or more, got {sigma_zero!r}")
        self.sigma_zero = float(sigma_zero)
        self.use_bias = use_bias
        self.seed = seed

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel` and `kernel_sigma` `[d, units]`, `bias` and `bias_sigma` `[units]`."""
        d = self.known_axis(input_shape)
        limit = d**-0.5
        around = initializers.RandomUniform(-limit, limit)
        sigma = initializers.Constant(self.sigma_zero * limit)
        self.kernel = self.add_weight("kernel", [d, self.units], around)
        self.kernel_sigma = self.add_weight("kernel_sigma", [d, self.units], sigma)
        self.bias = self.bias_sigma = None
        if self.use_bias:
            self.bias = self.add_weight("bias", [self.units], around)
            self.bias_sigma = self.add_weight("bias_sigma", [self.units], sigma)
        self.fix_axes({-1: d})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., d] -> [b, ..., units]`."""
        kernel, bias = self.cast(self.kernel), self.cast(self.bias)
        if training:
            d = self.kernel.shape[0]
            drawn = normal(tf.constant([d + self.units]), self.next_seed(self.seed))
            drawn = self.cast(tf.sign(drawn) * tf.sqrt(tf.abs(drawn)))
            p, q = drawn[:d], drawn[d:]
            kernel = kernel + self.cast(self.kernel_sigma) * p[:, None] * q
            if bias is not None:
                bias = bias + self.cast(self.bias_sigma) * q
        return self.activation(dense(inputs, kernel, bias))
