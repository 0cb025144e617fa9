"""What recurrent layers share, and SimpleRNN: the input's part in one product, then a scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from . import activations, cells, initializers
from .base import Layer, Shape
from .core import dense, positive_int
from .regularization import checked_rate, dropout
from .scan import Cell, scan


class Recurrent(Layer):
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
        stateful: bool = False,
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
        self.go_backwards, self.stateful = go_backwards, stateful
        # What a masked step puts out: zeros, or what the step before it did.
        self.zero_output_for_mask = False

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
        self.states = [self._state_variable(input_shape[0]) for _ in range(self._kept_states())]
        self.fix_axes({-1: d})

    def call(  # type: ignore[override]
        self,
        inputs: tf.Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """`[b, t, d] -> [b, u]`, or `[b, t, u]` with `return_sequences`.

        Args:
            inputs: `[b, t, d]`.
            initial_state: a tensor `[b, u]`, or a list of one for each state; None means zeros, or
                the last call's where the layer is stateful.
            mask: boolean `[b, t]`; a step of False leaves the states, and its output is that of the
                step before it (zeros before the first step that counts).
            training: whether dropout acts.

        Returns:
            The output; with `return_state` a tuple of the output and each last state.
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
            drawn = dropout(ones, self.recurrent_dropout, self.next_seed(self.seed))
            masked = drawn.__mul__
        x = tf.transpose(x, [1, 0, 2])  # [t, b, d]
        seen = None if mask is None else self._mask(mask, inputs)  # [t, b, 1]
        if self.go_backwards:
            x = tf.reverse(x, [0])
            seen = None if seen is None else tf.reverse(seen, [0])
        # Time first before the product: the transpose of its result would move four times as much.
        xs = dense(x, self.cast(self.kernel), self._input_bias())
        weights = self._step_weights()
        outputs, states = scan(
            self._cell(masked), xs, states, weights, mask=seen, sequences=self.return_sequences
        )
        for variable, state in zip(self.states, states, strict=False):
            variable.assign(tf.cast(state, variable.dtype))
        if self.return_sequences:
            result = outputs if seen is None else self._masked_outputs(outputs, seen)
            result = tf.transpose(result, [1, 0, 2])
        else:
            result = (
                states[0]
                if seen is None
                else tf.where(tf.reduce_any(seen, 0), states[0], tf.zeros_like(states[0]))
            )
        return (result, *states) if self.return_state else result

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero, as at the start of new sequences."""
        for variable in self.states if self.built else ():
            variable.assign(tf.zeros_like(variable))

    def keras_paths(self) -> dict[str, tf.Variable]:
        """Where a `.weights.h5` file of Keras has the weights: in the layer's cell."""
        return {f"cell/vars/{i}": weight for i, weight in enumerate(self.weights)}

    def _kept_states(self) -> int:
        return self.state_count if self.stateful else 0

    def _state_variable(self, batch: int | None) -> tf.Variable:
        if batch is None:
            raise ValueError(
                f"{self._label()} has stateful=True and needs to know the batch size when it is "
                "built; call it once on a batch of the size it will be given"
            )
        return self.add_weight("state", [batch, self.units], "zeros", trainable=False)

    def _mask(self, mask: Any, inputs: tf.Tensor) -> tf.Tensor:
        """The mask as boolean `[t, b, 1]`."""
        mask = tf.cast(mask, tf.bool)
        if not mask.shape.is_compatible_with(inputs.shape[:2]):
            raise ValueError(
                f"mask of {self._label()} must have shape [batch, time], here "
                f"{inputs.shape[:2]}, got {mask.shape}"
            )
        return tf.transpose(mask)[..., None]

    def _masked_outputs(self, outputs: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """Zeros where nothing was seen yet, or at all masked steps: `[t, b, u]`."""
        if not self.zero_output_for_mask:
            seen = tf.cumsum(tf.cast(seen, tf.int32), 0) > 0
        return tf.where(seen, outputs, tf.zeros_like(outputs))

    def _initial_state(self, inputs: tf.Tensor, given: Any) -> tuple[tf.Tensor, ...]:
        if given is None and self.stateful:
            batch, size = inputs.shape[0], self.states[0].shape[0]
            if batch not in (None, size):
                raise ValueError(
                    f"{self._label()} is stateful for batches of {size}, got one of {batch}; feed "
                    "whole batches (drop a ragged last one), or make the layer stateful=False"
                )
            return tuple(tf.cast(v, inputs.dtype) for v in self.states)
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

    def _step_weights(self) -> tuple[tf.Tensor, ...]:
        """What the steps of the cell share."""
        return (self.cast(self.recurrent_kernel),)

    def _cell(self, masked: cells.Function) -> Cell:
        """The functions of a step; `masked` is applied to the state before its product."""
        raise NotImplementedError


class SimpleRNN(Recurrent):
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
        stateful: whether a batch begins with the states that the last one ended with, until
            `reset_state()`; batches must then have one size. The states are among the weights (not
            trained, after the others), so that a checkpoint holds them; Keras leaves them out.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    gates = 1

    def _cell(self, masked: cells.Function) -> Cell:
        return cells.simple_cell(self.activation, masked)


def _unmasked(h: tf.Tensor) -> tf.Tensor:
    return h
