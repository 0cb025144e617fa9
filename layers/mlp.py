"""MLP: dense layers one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .containers import Sequential
from .core import Dense
from .regularization import Dropout
from .shown import shown_arguments


class MLP(Sequential):
    """Dense layers with an activation between them: `[b, ..., d] -> [b, ..., units[-1]]`.

    Args:
        units: sizes of the layers, the last of them the output's.
        activation: after each layer but the last.
        output_activation: after the last.
        dropout: rate of dropout after each activation but the last.
        use_bias: whether the layers have biases.
        kernel_initializer: of each kernel.
        kernel_regularizer: of each kernel.
        trainable: see `Layer`.
        name: see `Layer`.

    Example:
        >>> import tensorflow as tf
        >>> from layers import MLP
        >>> MLP([64, 64, 10], dropout=0.1)(tf.zeros([2, 4])).shape
        TensorShape([2, 10])
    """

    def __init__(
        self,
        units: Sequence[int],
        activation: Any = "relu",
        *,
        output_activation: Any = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        if isinstance(units, int) or not len(units):
            raise ValueError(f"units must list the size of each layer, got {units!r}")
        stack: list[Any] = []
        for i, n in enumerate(units):
            last = i == len(units) - 1
            stack.append(
                Dense(
                    n,
                    output_activation if last else activation,
                    use_bias=use_bias,
                    kernel_initializer=kernel_initializer,
                    kernel_regularizer=kernel_regularizer,
                )
            )
            if dropout and not last:
                stack.append(Dropout(dropout))
        super().__init__(stack, trainable=trainable, name=name)
        self.units, self.activation = tuple(units), activation
        self.output_activation, self.dropout = output_activation, dropout
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.kernel_regularizer = kernel_regularizer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(shown_arguments(self))})"
