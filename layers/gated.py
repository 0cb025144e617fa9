"""LSTM and GRU: recurrent layers whose gates have an activation of their own."""

from __future__ import annotations

from typing import Any

from . import activations
from .gates import GRUGates, LSTMGates
from .recurrent import Recurrent


class _Gated(Recurrent):
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
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            trainable=trainable,
            name=name,
        )
        self.recurrent_activation = activations.get(recurrent_activation)


class LSTM(LSTMGates, _Gated):
    """Long short-term memory: `[b, t, d] -> [b, u]`. Hochreiter and Schmidhuber 1997.

    Gates in the order input, forget, cell, output; states are h and c. Further arguments as in
    `SimpleRNN`, with kernels `[d, 4 u]` and `[u, 4 u]` and bias `[4 u]`.

    Args:
        units: u, the size of each state.
        activation: of the cell's candidate and of the output.
        recurrent_activation: of the gates.
        unit_forget_bias: whether the forget gate's bias starts at 1. Jozefowicz et al. 2015.
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
            stateful=stateful,
            trainable=trainable,
            name=name,
        )
        self.unit_forget_bias = bool(unit_forget_bias)


class GRU(GRUGates, _Gated):
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
        stateful: bool = False,
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
            stateful=stateful,
            trainable=trainable,
            name=name,
        )
        self.reset_after = bool(reset_after)
