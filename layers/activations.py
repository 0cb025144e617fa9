"""Activation functions with Keras's names and arguments, and the layers that hold one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .dtypes import at_least_float32


def relu(
    x: tf.Tensor,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> tf.Tensor:
    """max(x, 0); in general `x` above `threshold`, `negative_slope * (x - threshold)` below."""
    if negative_slope == 0.0 and threshold == 0.0:
        if max_value is None:
            return tf.nn.relu(x)
        if max_value == 6:
            return tf.nn.relu6(x)
    x = tf.convert_to_tensor(x)
    positive = x if max_value is None else tf.minimum(x, tf.cast(max_value, x.dtype))
    return tf.where(x >= threshold, positive, negative_slope * (x - threshold))


def leaky_relu(x: tf.Tensor, negative_slope: float = 0.2) -> tf.Tensor:
    """`x` where positive, `negative_slope * x` elsewhere."""
    return tf.nn.leaky_relu(x, alpha=negative_slope)


def relu6(x: tf.Tensor) -> tf.Tensor:
    """min(max(x, 0), 6)."""
    return tf.nn.relu6(x)


def elu(x: tf.Tensor, alpha: float = 1.0) -> tf.Tensor:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere. Clevert et al. 2015."""
    y = tf.nn.elu(x)
    return y if alpha == 1.0 else tf.where(y > 0, y, alpha * y)


def celu(x: tf.Tensor, alpha: float = 1.0) -> tf.Tensor:
    """max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)). Barron 2017."""
    zero = tf.zeros([], tf.convert_to_tensor(x).dtype)
    return tf.maximum(x, zero) + alpha * tf.math.expm1(tf.minimum(x, zero) / alpha)


def selu(x: tf.Tensor) -> tf.Tensor:
    """Scaled elu, with fixed points at mean 0 and variance 1. Klambauer et al. 2017."""
    return tf.nn.selu(x)


def gelu(x: tf.Tensor, approximate: bool = False) -> tf.Tensor:
    """X * Phi(x), exact unless `approximate` (tanh). Hendrycks and Gimpel 2016."""
    return tf.nn.gelu(x, approximate=approximate)


def silu(x: tf.Tensor) -> tf.Tensor:
    """X * sigmoid(x), also named swish. Elfwing et al. 2017."""
    return tf.nn.silu(x)


def mish(x: tf.Tensor) -> tf.Tensor:
    """X * tanh(softplus(x)). Misra 2019."""
    return x * tf.tanh(tf.math.softplus(x))


def glu(x: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """First half of `axis` times sigmoid(second): `[..., 2d] -> [..., d]`. Dauphin et al. 2016."""
    value, gate = tf.split(x, 2, axis)
    return value * tf.sigmoid(gate)


def swiglu(x: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """silu(first half of `axis`) times the second: `[..., 2d] -> [..., d]`. Shazeer 2020."""
    gate, value = tf.split(x, 2, axis)
    return tf.nn.silu(gate) * value


def softmax(x: tf.Tensor, axis: int | Sequence[int] = -1) -> tf.Tensor:
    """exp(x) normalised over `axis` (one or several), in float32 for 16-bit inputs."""
    return _in_float32(tf.nn.softmax, x, axis)


def log_softmax(x: tf.Tensor, axis: int | Sequence[int] = -1) -> tf.Tensor:
    """log(softmax(x)), in float32 for 16-bit inputs."""
    return _in_float32(tf.nn.log_softmax, x, axis)


def sparsemax(x: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """Projection on the simplex along `axis`. Martins and Astudillo 2016.

    It sums to one for every input, as defined; Keras 3.15's does not.
    """
    x = tf.convert_to_tensor(x)
    ordered = tf.sort(x, axis=axis, direction="DESCENDING")
    total = tf.cumsum(ordered, axis=axis)
    shape = [1] * x.shape.rank
    shape[axis] = -1
    count = tf.reshape(tf.range(1, tf.shape(x)[axis] + 1), shape)
    inside = 1 + tf.cast(count, x.dtype) * ordered > total
    k = tf.reduce_sum(tf.cast(inside, x.dtype), axis=axis, keepdims=True)
    kept = tf.reduce_sum(tf.where(inside, ordered, tf.zeros_like(x)), axis=axis, keepdims=True)
    return tf.nn.relu(x - (kept - 1) / k)


def sigmoid(x: tf.Tensor) -> tf.Tensor:
    """1 / (1 + exp(-x))."""
    return tf.sigmoid(x)


def log_sigmoid(x: tf.Tensor) -> tf.Tensor:
    """log(sigmoid(x))."""
    return tf.math.log_sigmoid(x)


def hard_sigmoid(x: tf.Tensor) -> tf.Tensor:
    """relu6(x + 3) / 6."""
    return tf.nn.relu6(x + 3.0) / 6.0


def hard_silu(x: tf.Tensor) -> tf.Tensor:
    """X * hard_sigmoid(x), also named hard_swish. Howard et al. 2019."""
    return x * hard_sigmoid(x)


def sparse_sigmoid(x: tf.Tensor) -> tf.Tensor:
    """(x + 1) / 2 cut to [0, 1]."""
    return tf.clip_by_value(0.5 * (x + 1.0), 0.0, 1.0)


def tanh(x: tf.Tensor) -> tf.Tensor:
    """Hyperbolic tangent."""
    return tf.tanh(x)


def hard_tanh(x: tf.Tensor) -> tf.Tensor:
    """`x` cut to [-1, 1]."""
    return tf.clip_by_value(x, -1.0, 1.0)


def tanh_shrink(x: tf.Tensor) -> tf.Tensor:
    """X - tanh(x)."""
    return x - tf.tanh(x)


def hard_shrink(x: tf.Tensor, threshold: float = 0.5) -> tf.Tensor:
    """`x` where |x| > threshold, else 0."""
    return tf.where(tf.abs(x) > threshold, x, tf.zeros_like(x))


def soft_shrink(x: tf.Tensor, threshold: float = 0.5) -> tf.Tensor:
    """`x` moved towards 0 by `threshold`."""
    return tf.sign(x) * tf.nn.relu(tf.abs(x) - threshold)


def softplus(x: tf.Tensor) -> tf.Tensor:
    """log(1 + exp(x))."""
    return tf.math.softplus(x)


def softsign(x: tf.Tensor) -> tf.Tensor:
    """X / (1 + |x|)."""
    return tf.nn.softsign(x)


def squareplus(x: tf.Tensor, b: float = 4) -> tf.Tensor:
    """(x + sqrt(x**2 + b)) / 2. Barron 2021."""
    return (x + tf.sqrt(tf.square(x) + b)) / 2


def sparse_plus(x: tf.Tensor) -> tf.Tensor:
    """0 below -1, `x` above 1, (x + 1)**2 / 4 between."""
    middle = 0.25 * tf.square(x + 1.0)
    return tf.where(x <= -1.0, tf.zeros_like(x), tf.where(x < 1.0, middle, x))


def exponential(x: tf.Tensor) -> tf.Tensor:
    """exp(x)."""
    return tf.exp(x)


def linear(x: tf.Tensor) -> tf.Tensor:
    """`x` itself."""
    return x


_FUNCTIONS: dict[str, Callable[..., tf.Tensor]] = {
    f.__name__: f
    for f in (
        relu, leaky_relu, relu6, elu, celu, selu, gelu, silu, mish, glu, swiglu, softmax,
        log_softmax, sparsemax, sigmoid, log_sigmoid, hard_sigmoid, hard_silu, sparse_sigmoid, tanh,
        hard_tanh, tanh_shrink, hard_shrink, soft_shrink, softplus, softsign, squareplus,
        sparse_plus, exponential, linear,
    )
} | {"swish": silu, "hard_swish": hard_silu}  # fmt: skip


def get(identifier: Any) -> Callable[..., tf.Tensor]:
    """An activation function from a name or a callable; None is `linear`.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything else.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in _FUNCTIONS:
            near = difflib.get_close_matches(identifier, _FUNCTIONS, n=3, cutoff=0.5)
            raise ValueError(
                f"unknown activation {identifier!r}; did you mean one of {near}? "
                f"Known: {sorted(_FUNCTIONS)}, or pass a callable"
            )
        return _FUNCTIONS[identifier]
    if callable(identifier):
        return identifier
    raise TypeError(f"an activation must be a name or a callable, got {identifier!r}")


class Activation(Layer):
    """Applies a function to each element: `[b, ...] -> [b, ...]`.

    Args:
        activation: a name such as "relu", or a callable.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 1

    def __init__(self, activation: Any, *, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self.activation = get(activation)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        return self.activation(inputs)


class ReLU(Layer):
    """`relu` with its settings: `[b, ...] -> [b, ...]`."""

    casts_integers = True
    min_rank = 1

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        *,
        threshold: float = 0.0,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.max_value, self.negative_slope = max_value, negative_slope
        self.threshold = threshold

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        return relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """`x` where positive, `negative_slope * x` elsewhere: `[b, ...] -> [b, ...]`."""

    casts_integers = True
    min_rank = 1

    def __init__(
        self, negative_slope: float = 0.3, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.negative_slope = negative_slope

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        return leaky_relu(inputs, self.negative_slope)


class ELU(Layer):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere: `[b, ...] -> [b, ...]`."""

    casts_integers = True
    min_rank = 1

    def __init__(
        self, alpha: float = 1.0, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.alpha = alpha

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        return elu(inputs, self.alpha)


class PReLU(Layer):
    """Leaky relu whose slope `alpha` is learnt, one for each element. He et al. 2015.

    Args:
        alpha_initializer: of `alpha`, whose shape is the input's without the batch axis.
        alpha_regularizer: of `alpha`.
        shared_axes: axes (from 1) along which one slope is shared, such as `[1, 2]` for images.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        *,
        alpha_regularizer: Any = None,
        shared_axes: Sequence[int] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.alpha_initializer = alpha_initializer
        self.alpha_regularizer = alpha_regularizer
        self.shared_axes = None if shared_axes is None else tuple(shared_axes)

    def build(self, input_shape: Shape) -> None:
        """Creates `alpha` of shape `input_shape[1:]`, 1 on shared axes."""
        shared = {axis % len(input_shape) for axis in self.shared_axes or ()}
        own = [i for i in range(1, len(input_shape)) if i not in shared]
        sizes = {i: self.known_axis(input_shape, i) for i in own}
        self.alpha = self.add_weight(
            "alpha",
            [sizes.get(i, 1) for i in range(1, len(input_shape))],
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
        )
        self.fix_axes(sizes)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        return tf.nn.relu(inputs) - self.cast(self.alpha) * tf.nn.relu(-inputs)


class Softmax(Layer):
    """Softmax over `axis`: `[b, ..., k] -> [b, ..., k]`, 0 where `mask` is False."""

    casts_integers = True
    min_rank = 1

    def __init__(
        self, axis: int | Sequence[int] = -1, *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def call(self, inputs: tf.Tensor, training: bool = False, mask: Any = None) -> tf.Tensor:
        """`[b, ..., k] -> [b, ..., k]`; `mask` is boolean and broadcasts, True is kept."""
        if mask is None:
            return softmax(inputs, self.axis)
        return masked_softmax(inputs, mask, self.axis)


def masked_softmax(x: tf.Tensor, mask: Any, axis: int | Sequence[int] = -1) -> tf.Tensor:
    """Softmax over the positions where `mask` is True, 0 elsewhere; all 0 where none is."""
    x = tf.convert_to_tensor(x)
    mask = tf.cast(mask, tf.bool)
    wide = at_least_float32(x)
    # Finite, so that a row in which nothing is kept has no NaN.
    weights = softmax(tf.where(mask, wide, tf.constant(tf.float32.min / 2, wide.dtype)), axis)
    return tf.cast(tf.where(mask, weights, tf.zeros_like(weights)), x.dtype)


def _in_float32(function: Callable[..., Any], x: Any, axis: int | Sequence[int]) -> tf.Tensor:
    x = tf.convert_to_tensor(x)
    if not isinstance(axis, int):
        if len(axis) == 1:
            axis = axis[0]
        else:
            return _over_axes(function, x, axis)
    if x.dtype.size >= 4:
        return function(x, axis=axis)
    return tf.cast(function(tf.cast(x, tf.float32), axis=axis), x.dtype)


def _over_axes(function: Callable[..., Any], x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """Moves the axes last, flattens them into one, and back."""
    rank = x.shape.rank
    last = [a % rank for a in axes]
    order = [a for a in range(rank) if a not in last] + last
    moved = tf.transpose(x, order)
    shape = tf.shape(moved)
    flat = tf.reshape(moved, tf.concat([shape[: rank - len(last)], [-1]], 0))
    out = tf.reshape(_in_float32(function, flat, -1), shape)
    return tf.transpose(out, [order.index(i) for i in range(rank)])
