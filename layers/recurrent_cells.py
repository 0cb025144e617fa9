"""SimpleRNNCell, LSTMCell and GRUCell: one step of a recurrent layer, for `RNN` and for stacks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import activations
from .core import dense
from .gates import Gates, GRUGates, LSTMGates, SimpleGates


class _Cell(Gates):
    """One step: `(inputs [b, d], states) -> (output [b, u], new states)`."""

    input_rank = 2

    @property
    def state_size(self) -> int | list[int]:
        """u, or a list with the size of each state."""
        return self.units if self.state_count == 1 else [self.units] * self.state_count

    @property
    def output_size(self) -> int:
        """U."""
        return self.units

    def get_initial_state(self, batch_size: Any) -> list[tf.Tensor]:
        """Zeros `[batch_size, u]` for each state."""
        return [tf.zeros([batch_size, self.units], self.compute_dtype)] * self.state_count

    def call(  # type: ignore[override]
        self, inputs: tf.Tensor, states: Any, training: bool = False
    ) -> tuple[tf.Tensor, Any]:
        """One step.

        Args:
            inputs: `[b, d]`.
            states: a list with a tensor `[b, u]` for each state, or the tensor where it is one.
            training: whether dropout acts; within `RNN` all steps have one mask.

        Returns:
            The output `[b, u]`, and the new states as the old ones were given.
        """
        given = tuple(tf.nest.flatten(states))
        if len(given) != self.state_count:
            raise ValueError(
                f"states of {self._label()} must hold {self.state_count} tensors of shape "
                f"[batch, {self.units}], got {len(given)}"
            )
        x = dense(self._dropped(inputs, training), self.cast(self.kernel), self._input_bias())
        cell = self._cell(self._recurrent_mask(given[0], training))
        new, _ = cell.step(x, given, self._step_weights())
        return new[0], (list(new) if isinstance(states, (list, tuple)) else new[0])


class SimpleRNNCell(SimpleGates, _Cell):
    """One step of `SimpleRNN`: `(inputs [b, d], states) -> (output [b, u], new states)`.

    Arguments as in `SimpleRNN`, without those of the loop.
    """


class LSTMCell(LSTMGates, _Cell):
    """One step of `LSTM`: `(inputs [b, d], [h, c]) -> (h, [h, c])`, each `[b, u]`.

    Arguments as in `LSTM`, without those of the loop.
    """

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
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = bool(unit_forget_bias)


class GRUCell(GRUGates, _Cell):
    """One step of `GRU`: `(inputs [b, d], states) -> (output [b, u], new states)`.

    Arguments as in `GRU`, without those of the loop.
    """

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
        reset_after: bool = True,
        seed: int | None = None,
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
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = bool(reset_after)
