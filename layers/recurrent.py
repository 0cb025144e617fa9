"""SimpleRNN, GRU and LSTM: the input's part in one product, then a scan over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from . import activations, initializers
from .base import Layer, Shape
from .core import dense, positive_int
from .regularization import checked_rate, dropout

State = tuple[tf.Tensor, ...]


def scan(
    step: Callable[[tf.Tensor, State], State], xs: tf.Tensor, states: State, sequences: bool
) -> tuple[tf.Tensor | None, State]:
    """Runs `step(x, states) -> states` along time.

    Args:
        step: the cell; the first of its states is its output.
        xs: `[t, b, k]`.
        states: initial states, each `[b, u]`.
        sequences: whether the outputs of all steps are kept.

    Returns:
        The outputs `[t, b, u]` (None unless `sequences`) and the last states.
    """
    t = tf.shape(xs)[0] if xs.shape[0] is None else xs.shape[0]
    # TensorArrays, not slices: the gradient of a slice is as large as the whole sequence.
    reads = tf.TensorArray(xs.dtype, size=t, element_shape=xs.shape[1:]).unstack(xs)
    first = states[0]
    kept: tuple[Any, ...] = ()
    if sequences:
        kept = (tf.TensorArray(first.dtype, size=t, element_shape=first.shape),)

    def body(i: Any, states: State, kept: tuple[Any, ...]) -> Any:
        states = step(reads.read(i), states)
        return i + 1, states, tuple(array.write(i, states[0]) for array in kept)

    # XLA needs the bound to size what the gradient keeps of each step.
    _, states, kept = tf.while_loop(
        lambda i, states, kept: i < t, body, (0, tuple(states), kept), maximum_iterations=t
    )
    return (kept[0].stack() if sequences else None), states


class _Recurrent(Layer):
    """What the three share: weights `kernel` `[d, g u]`, `recurrent_kernel` `[u, g u]`, `bias`."""

    casts_integers = True
    input_rank = 3
    gates: int
    state_count = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.units = positive_int("units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.recurrent_initializer = recurrent_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.recurrent_regularizer = recurrent_regularizer
        self.bias_regularizer = bias_regularizer
        self.dropout = checked_rate(dropout)
        self.recurrent_dropout = checked_rate(recurrent_dropout)
        self.seed = seed
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards = go_backwards

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel`, `recurrent_kernel` and `bias`."""
        d, width = self.known_axis(input_shape), self.gates * self.units
        self.kernel = self.add_weight(
            "kernel", [d, width], self.kernel_initializer, regularizer=self.kernel_regularizer
        )
        self.recurrent_kernel = self.add_weight(
            "recurrent_kernel",
            [self.units, width],
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                self._bias_shape(),
                self._bias_values,
                regularizer=self.bias_regularizer,
            )
        self.fix_axes({-1: d})

    def call(self, inputs: tf.Tensor, training: bool = False, initial_state: Any = None) -> Any:
        """`[b, t, d] -> [b, u]`, or `[b, t, u]` with `return_sequences`.

        `initial_state` is a tensor `[b, u]`, or a list of one for each state; None means zeros.
        With `return_state` the result is a tuple: the output, then each last state.
        """
        x = inputs
        if training and self.dropout:
            # One mask for all steps. Gal and Ghahramani 2016.
            mask_shape = [tf.shape(x)[0], 1, x.shape[-1]]
            x = dropout(x, self.dropout, self.next_seed(self.seed), mask_shape)
        states = self._initial_state(inputs, initial_state)
        masked = _unmasked
        if training and self.recurrent_dropout:
            ones = tf.ones_like(states[0])
            mask = dropout(ones, self.recurrent_dropout, self.next_seed(self.seed))
            masked = mask.__mul__
        # Time first before the product: the transpose of its result would move four times as much.
        xs = dense(tf.transpose(x, [1, 0, 2]), self.cast(self.kernel), self._input_bias())
        if self.go_backwards:
            xs = tf.reverse(xs, [0])
        outputs, states = scan(self._step(masked), xs, states, self.return_sequences)
        result = tf.transpose(outputs, [1, 0, 2]) if self.return_sequences else states[0]
        return (result, *states) if self.return_state else result

    def keras_paths(self) -> dict[str, tf.Variable]:
        """Where a `.weights.h5` file of Keras has the weights: in the layer's cell."""
        return {f"cell/vars/{i}": weight for i, weight in enumerate(self.weights)}

    def _initial_state(self, inputs: tf.Tensor, given: Any) -> State:
        if given is None:
            zeros = tf.zeros([tf.shape(inputs)[0], self.units], inputs.dtype)
            zeros = tf.ensure_shape(zeros, [inputs.shape[0], self.units])
            return (zeros,) * self.state_count
        states = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        if len(states) != self.state_count:
            raise ValueError(
                f"initial_state of {self._label()} must hold {self.state_count} tensors of shape "
                f"[batch, {self.units}], got {len(states)}"
            )
        return tuple(tf.cast(s, inputs.dtype) for s in states)

    def _bias_shape(self) -> list[int]:
        return [self.gates * self.units]

    def _bias_values(self, shape: Sequence[int], dtype: Any, seed: Any) -> tf.Tensor:
        return initializers.get(self.bias_initializer)(shape, dtype, seed=seed)

    def _input_bias(self) -> tf.Tensor | None:
        return self.cast(self.bias)

    def _step(self, masked: Callable[[Any], Any]) -> Callable[[tf.Tensor, State], State]:
        """The cell, a function of the input's part `[b, g u]` and the states."""
        raise NotImplementedError


class SimpleRNN(_Recurrent):
    """`h = activation(x @ kernel + h @ recurrent_kernel + bias)`: `[b, t, d] -> [b, u]`.

    Args:
        units: u, the size of the state.
        activation: of the new state.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[d, u]`.
        recurrent_initializer: of `recurrent_kernel`, `[u, u]`.
        bias_initializer: of `bias`, `[u]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        recurrent_regularizer: the same for the recurrent kernel.
        bias_regularizer: the same for the bias.
        dropout: rate for the inputs; one mask for all steps.
        recurrent_dropout: rate for the state where it enters the product; one mask for all steps.
        seed: an integer mixed into the seed of each mask.
        return_sequences: whether the result is `[b, t, u]` instead of the last output.
        return_state: whether the last state is returned too.
        go_backwards: whether time runs from the last step to the first.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    gates = 1

    def _step(self, masked: Callable[[Any], Any]) -> Callable[[tf.Tensor, State], State]:
        recurrent = self.cast(self.recurrent_kernel)

        def step(x: tf.Tensor, states: State) -> State:
            return (self.activation(x + tf.matmul(masked(states[0]), recurrent)),)

        return step


class _Gated(_Recurrent):
    """A recurrent layer whose gates have an activation of their own."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        *,
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            trainable=trainable,
            name=name,
        )
        self.recurrent_activation = activations.get(recurrent_activation)


class LSTM(_Gated):
    """Long short-term memory: `[b, t, d] -> [b, u]`. Hochreiter and Schmidhuber 1997.

    Gates in the order input, forget, cell, output; states are h and c. Further arguments as in
    `SimpleRNN`, with kernels `[d, 4 u]` and `[u, 4 u]` and bias `[4 u]`.

    Args:
        units: u, the size of each state.
        activation: of the cell's candidate and of the output.
        recurrent_activation: of the gates.
        unit_forget_bias: whether the forget gate's bias starts at 1. Jozefowicz et al. 2015.
    """

    gates = 4
    state_count = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        *,
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            units,
            activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            trainable=trainable,
            name=name,
        )
        self.unit_forget_bias = bool(unit_forget_bias)

    def _bias_values(self, shape: Sequence[int], dtype: Any, seed: Any) -> tf.Tensor:
        values = super()._bias_values(shape, dtype, seed)
        if not self.unit_forget_bias:
            return values
        u = self.units
        return tf.concat([values[:u], tf.ones([u], dtype), values[2 * u :]], 0)

    def _step(self, masked: Callable[[Any], Any]) -> Callable[[tf.Tensor, State], State]:
        recurrent = self.cast(self.recurrent_kernel)

        def step(x: tf.Tensor, states: State) -> State:
            h, c = states
            i, f, g, o = tf.split(x + tf.matmul(masked(h), recurrent), 4, 1)
            gate = self.recurrent_activation
            c = gate(f) * c + gate(i) * self.activation(g)
            return gate(o) * self.activation(c), c

        return step


class GRU(_Gated):
    """Gated recurrent unit: `[b, t, d] -> [b, u]`. Cho et al. 2014.

    Gates in the order update, reset, candidate; `h = z h + (1 - z) candidate`. Further arguments
    as in `SimpleRNN`, with kernels `[d, 3 u]` and `[u, 3 u]`, and bias `[2, 3 u]` (for the input
    and for the state) with `reset_after`, else `[3 u]`.

    Args:
        units: u, the size of the state.
        activation: of the candidate.
        recurrent_activation: of the gates.
        reset_after: whether the reset gate acts after the recurrent product, or before it.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        *,
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        reset_after: bool = True,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            units,
            activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            trainable=trainable,
            name=name,
        )
        self.reset_after = bool(reset_after)

    def _bias_shape(self) -> list[int]:
        width = 3 * self.units
        return [2, width] if self.reset_after else [width]

    def _input_bias(self) -> tf.Tensor | None:
        bias = self.cast(self.bias)
        return bias[0] if bias is not None and self.reset_after else bias

    def _step(self, masked: Callable[[Any], Any]) -> Callable[[tf.Tensor, State], State]:
        u = self.units
        recurrent = self.cast(self.recurrent_kernel)
        gates, candidate = recurrent[:, : 2 * u], recurrent[:, 2 * u :]
        bias = self.cast(self.bias)[1] if self.use_bias and self.reset_after else None

        def step_after(x: tf.Tensor, states: State) -> State:
            h = states[0]
            product = tf.matmul(masked(h), recurrent)
            if bias is not None:
                product += bias
            z, r = tf.split(self.recurrent_activation((x + product)[:, : 2 * u]), 2, 1)
            new = self.activation(x[:, 2 * u :] + r * product[:, 2 * u :])
            return (z * h + (1 - z) * new,)

        def step_before(x: tf.Tensor, states: State) -> State:
            h = states[0]
            both = x[:, : 2 * u] + tf.matmul(masked(h), gates)
            z, r = tf.split(self.recurrent_activation(both), 2, 1)
            new = self.activation(x[:, 2 * u :] + tf.matmul(r * masked(h), candidate))
            return (z * h + (1 - z) * new,)

        return step_after if self.reset_after else step_before


def _unmasked(h: tf.Tensor) -> tf.Tensor:
    return h
