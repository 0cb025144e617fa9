"""Dense, Bias, and what rearranges or rescales: Flatten, Reshape, Permute, Rescaling, Lambda."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from . import activations
from .base import Layer, Shape, takes_training


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
    """`x @ kernel + bias` as one matrix product: `[..., d] x [d, units] -> [..., units]`."""
    rank = x.shape.rank
    # One flat product is faster than a batch of small ones, and so is its gradient.
    y = tf.matmul(x if rank == 2 else tf.reshape(x, [-1, x.shape[-1]]), kernel)
    if bias is not None:
        y = tf.nn.bias_add(y, bias)
    if rank == 2:
        return y
    static = [*x.shape.as_list()[:-1], kernel.shape[-1]]
    if static.count(None) <= 1:
        return tf.reshape(y, [-1 if s is None else s for s in static])
    y = tf.reshape(y, tf.concat([tf.shape(x)[:-1], [kernel.shape[-1]]], 0))
    return tf.ensure_shape(y, static)


class Dense(Layer):
    """`activation(inputs @ kernel + bias)`: `[b, ..., d] -> [b, ..., units]`.

    Args:
        units: size of the output's last axis.
        activation: a name such as "relu", a callable, or None.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[d, units]`.
        bias_initializer: of `bias`, `[units]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
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
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.units = positive_int("units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel` `[d, units]` and `bias` `[units]`."""
        d = self.known_axis(input_shape)
        self.kernel = self.add_weight(
            "kernel", [d, self.units], self.kernel_initializer, regularizer=self.kernel_regularizer
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", [self.units], self.bias_initializer, regularizer=self.bias_regularizer
            )
        self.fix_axes({-1: d})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., d] -> [b, ..., units]`."""
        return self.activation(dense(inputs, self.cast(self.kernel), self.cast(self.bias)))


class Bias(Layer):
    """Adds a learnt value for each position of the last axis: `[b, ..., d] -> [b, ..., d]`.

    Args:
        bias_initializer: of `bias`, `[d]`.
        bias_regularizer: "l1", "l2", "l1_l2", or a callable bias -> scalar.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        bias_initializer: Any = "zeros",
        *,
        bias_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.bias_initializer, self.bias_regularizer = bias_initializer, bias_regularizer

    def build(self, input_shape: Shape) -> None:
        """Creates `bias` `[d]`."""
        d = self.known_axis(input_shape)
        self.bias = self.add_weight(
            "bias", [d], self.bias_initializer, regularizer=self.bias_regularizer
        )
        self.fix_axes({-1: d})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., d] -> [b, ..., d]`."""
        return tf.nn.bias_add(inputs, self.cast(self.bias))


class Flatten(Layer):
    """All axes but the batch in one: `[b, ...] -> [b, n]` (a rank 1 input becomes `[b, 1]`)."""

    min_rank = 1

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, n]`."""
        sizes = inputs.shape.as_list()[1:]
        if None in sizes:
            batch = inputs.shape[0]
            return tf.reshape(inputs, [tf.shape(inputs)[0] if batch is None else batch, -1])
        n = math.prod(sizes)
        if inputs.shape[0] is not None:
            return tf.reshape(inputs, [inputs.shape[0], n])
        return tf.reshape(inputs, [-1, n] if n else [tf.shape(inputs)[0], 0])


class Reshape(Layer):
    """`[b, ...] -> [b, *target_shape]`; one entry of `target_shape` may be -1."""

    min_rank = 1

    def __init__(
        self, target_shape: Sequence[int], *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.target_shape = tuple(int(s) for s in target_shape)
        if self.target_shape.count(-1) > 1 or any(s < -1 for s in self.target_shape):
            raise ValueError(
                f"target_shape holds sizes, and -1 at most once, got {self.target_shape}"
            )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, *target_shape]`."""
        sizes = inputs.shape.as_list()[1:]
        target = self.target_shape
        if None not in sizes:
            target = self._resolved(math.prod(sizes), inputs.shape)
        batch = inputs.shape[0]
        if batch is None:
            batch = tf.shape(inputs)[0] if -1 in target else -1
        return tf.reshape(inputs, [batch, *target])

    def _resolved(self, n: int, shape: tf.TensorShape) -> tuple[int, ...]:
        known = math.prod(s for s in self.target_shape if s != -1)
        free = -1 in self.target_shape
        if (free and (known == 0 or n % known)) or (not free and known != n):
            raise ValueError(
                f"{self._label()} cannot make target_shape {self.target_shape} of {n} values per "
                f"example (input shape {shape}); the sizes must multiply to {n}"
            )
        return tuple(n // known if s == -1 else s for s in self.target_shape)


class Permute(Layer):
    """Reorders the axes after the batch: `dims` counts from 1, as in `Permute((2, 1))`."""

    min_rank = 2

    def __init__(
        self, dims: Sequence[int], *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.dims = tuple(int(d) for d in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims must be the numbers 1 to n in some order, got {self.dims}")
        self.input_rank = len(self.dims) + 1

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Axis `i + 1` of the output is axis `dims[i]` of the input."""
        return tf.transpose(inputs, [0, *self.dims])


class RepeatVector(Layer):
    """Repeats each vector `n` times: `[b, d] -> [b, n, d]`."""

    input_rank = 2

    def __init__(self, n: int, *, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self.n = positive_int("n", n)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, d] -> [b, n, d]`."""
        return tf.repeat(inputs[:, None, :], self.n, axis=1)


class Rescaling(Layer):
    """`inputs * scale + offset`, such as `Rescaling(1 / 255)` for images; integers are cast."""

    casts_integers = True
    min_rank = 1

    def __init__(
        self,
        scale: Any,
        offset: Any = 0.0,
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.scale, self.offset = scale, offset

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`; a scale or offset that is a list applies to the last axis."""
        scale = tf.constant(self.scale, inputs.dtype)
        return inputs * scale + tf.constant(self.offset, inputs.dtype)


class Lambda(Layer):
    """Any function of the inputs, without weights; `training` is passed on if it is taken."""

    def __init__(
        self, function: Callable[..., Any], *, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        if not callable(function):
            raise TypeError(f"function must be callable, got {function!r}")
        if isinstance(function, tf.Module):
            raise TypeError(
                f"function is a module with weights of its own ({function!r}); "
                "put it in a Sequential as it is, not in a Lambda"
            )
        self.function = function
        self._takes_training = takes_training(function)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """`function(inputs)`."""
        if self._takes_training:
            return self.function(inputs, training=training)
        return self.function(inputs)


def positive_int(argument: str, value: Any) -> int:
    """`value` as an int, or an error that names the argument."""
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"{argument} must be a positive integer, got {value!r}")
    return int(value)
