"""The weights and the step that a recurrent layer and its cell share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from . import activations, cells, initializers
from .base import Layer, Shape
from .core import positive_int
from .regularization import checked_rate, dropout
from .scan import Cell


class Gates(Layer):
    """Weights `kernel` `[d, g u]`, `recurrent_kernel` `[u, g u]`, `bias`, and the step's maths."""

    casts_integers = True
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

    def _dropped(self, x: tf.Tensor, training: bool, mask_shape: Any = None) -> tf.Tensor:
        """The inputs, dropped out in training."""
        if not (training and self.dropout):
            return x
        return dropout(x, self.dropout, self.next_seed(self.seed), mask_shape)

    def _recurrent_mask(self, state: tf.Tensor, training: bool) -> cells.Function:
        """What is applied to the state before its product."""
        if not (training and self.recurrent_dropout):
            return _unmasked
        drawn = dropout(tf.ones_like(state), self.recurrent_dropout, self.next_seed(self.seed))
        return drawn.__mul__

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


class SimpleGates(Gates):
    """Of SimpleRNN: no gate at all, one activation."""

    gates = 1

    def _cell(self, masked: cells.Function) -> Cell:
        return cells.simple_cell(self.activation, masked)


class LSTMGates(Gates):
    """Of LSTM: input, forget, cell, output."""

    gates = 4
    state_count = 2
    recurrent_activation: Any
    unit_forget_bias: bool

    def _bias_values(self, shape: Sequence[int], dtype: Any, seed: Any) -> tf.Tensor:
        values = super()._bias_values(shape, dtype, seed)
        if not self.unit_forget_bias:
            return values
        u = self.units
        return tf.concat([values[:u], tf.ones([u], dtype), values[2 * u :]], 0)

    def _cell(self, masked: cells.Function) -> Cell:
        return cells.lstm_cell(self.activation, self.recurrent_activation, masked)


class GRUGates(Gates):
    """Of GRU: update, reset, candidate."""

    gates = 3
    recurrent_activation: Any
    reset_after: bool

    def _bias_shape(self) -> list[int]:
        width = 3 * self.units
        return [2, width] if self.reset_after else [width]

    def _input_bias(self) -> tf.Tensor | None:
        bias = self.cast(self.bias)
        return bias[0] if bias is not None and self.reset_after else bias

    def _step_weights(self) -> tuple[tf.Tensor, ...]:
        recurrent = self.cast(self.recurrent_kernel)
        if not self.reset_after:
            return recurrent[:, : 2 * self.units], recurrent[:, 2 * self.units :]
        return (recurrent, self.cast(self.bias)[1]) if self.use_bias else (recurrent,)

    def _cell(self, masked: cells.Function) -> Cell:
        make = cells.gru_cell if self.reset_after else cells.gru_before_cell
        return make(self.activation, self.recurrent_activation, masked)


def _unmasked(h: tf.Tensor) -> tf.Tensor:
    return h
