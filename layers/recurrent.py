"""What recurrent layers share, and SimpleRNN: the input's part in one product, then a scan."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .base import Shape
from .core import dense
from .gates import Gates, SimpleGates
from .over_time import OverTime
from .scan import scan


class Recurrent(OverTime, Gates):
    """What the three share: the weights of `Gates`, run along time."""

    input_rank = 3

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
            trainable=trainable,
            name=name,
        )
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.stateful = go_backwards, stateful

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel`, `recurrent_kernel` and `bias`."""
        super().build(input_shape)
        self.states = self._state_variables(input_shape[0])

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
        # One mask for all steps. Gal and Ghahramani 2016.
        x = self._dropped(inputs, training, [tf.shape(inputs)[0], 1, inputs.shape[-1]])
        states = self._initial_state(inputs, initial_state)
        cell = self._cell(self._recurrent_mask(states[0], training))
        # Time first before the product: the transpose of its result would move four times as much.
        x, seen = self._time_first(x, mask)
        xs = dense(x, self.cast(self.kernel), self._input_bias())
        weights = self._step_weights()
        outputs, states = scan(
            cell, xs, states, weights, mask=seen, sequences=self.return_sequences
        )
        self._keep(states)
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

    def keras_paths(self) -> dict[str, tf.Variable]:
        """Where a `.weights.h5` file of Keras has the weights: in the layer's cell."""
        return {f"cell/vars/{i}": weight for i, weight in enumerate(self.weights)}

    def _state_sizes(self) -> list[int]:
        return [self.units] * self.state_count


class SimpleRNN(SimpleGates, Recurrent):
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
