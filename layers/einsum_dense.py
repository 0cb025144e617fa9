"""EinsumDense: a dense layer over any axes, told by an equation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from . import activations
from .base import Layer, Shape

_LETTERS = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class EinsumDense(Layer):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: of `tf.einsum`, such as "abc,cd->abd"; "..." may stand for the axes before (or
            after) those named, on both sides.
        output_shape: the output's axes without the batch, and without those behind "..."; an int
            for one axis, None where a size is the input's.
        activation: a name such as "relu", a callable, or None.
        bias_axes: the output's letters along which the bias has values of its own, such as "d";
            None means no bias.
        kernel_initializer: of `kernel`, whose axes are those of the equation's second term.
        bias_initializer: of `bias`, with the output's axes from the first of `bias_axes` on.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the bias.
        trainable: see `Layer`.
        name: see `Layer`.

    Raises:
        ValueError: if the equation is none, or does not go with output_shape and bias_axes.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        *,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.equation = equation
        self.output_shape = (
            (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        )
        self.activation = activations.get(activation)
        self.bias_axes = bias_axes
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        parse(equation)

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel` and `bias` of the shapes that follow from the equation."""
        kernel_shape, bias_shape = weight_shapes(
            self.equation, self.output_shape, self.bias_axes, input_shape
        )
        self.kernel = self.add_weight(
            "kernel", kernel_shape, self.kernel_initializer, regularizer=self.kernel_regularizer
        )
        self.bias = None
        if bias_shape is not None:
            self.bias = self.add_weight(
                "bias", bias_shape, self.bias_initializer, regularizer=self.bias_regularizer
            )
        left, inputs, weights, _ = parse(self.equation)
        own = {}
        for i, letter in enumerate(inputs):
            axis = i - len(inputs) if left else i
            if letter in weights and axis % len(input_shape):
                own[axis] = self.known_axis(input_shape, axis)
        self.fix_axes(own)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        y = tf.einsum(self.equation, inputs, self.cast(self.kernel))
        if self.bias is not None:
            y += self.cast(self.bias)
        return self.activation(y)


def parse(equation: str) -> tuple[bool, str, str, str]:
    """(whether axes on the left are left out, letters of input, kernel and output)."""
    found = _LETTERS.fullmatch(equation.replace(" ", ""))
    if found is None or (found[1], found[3]) != (found[5], found[7]) or (found[1] and found[3]):
        raise ValueError(
            "equation must read like 'ab,bc->ac', '...a,ab->...b' or 'ab...,bc->ac...', got "
            f"{equation!r}"
        )
    return bool(found[1]), found[2], found[4], found[6]


def weight_shapes(
    equation: str,
    output_shape: Sequence[int | None],
    bias_axes: str | None,
    input_shape: Shape,
) -> tuple[list[int], list[int] | None]:
    """The shapes of kernel and bias (or None)."""
    left, inputs, weights, outputs = parse(equation)
    hidden = len(input_shape) - len(inputs)
    if hidden < 0 or (hidden > 0 and "..." not in equation):
        raise ValueError(
            f"equation {equation!r} names {len(inputs)} axes of the input, which has "
            f"{len(input_shape)} (shape {tuple(input_shape)}); name each, or add '...'"
        )
    behind = hidden if left else 0
    sizes = dict(zip(inputs, input_shape[behind : behind + len(inputs)], strict=True))
    # The batch is the first axis named, unless it is hidden behind "..." on the left.
    named = outputs if behind else outputs[1:]
    if len(output_shape) != len(named):
        raise ValueError(
            f"output_shape must have one size for each of the output's axes {named!r} of equation "
            f"{equation!r}, got {tuple(output_shape)}"
        )
    for letter, size in zip(named, output_shape, strict=True):
        known = sizes.get(letter)
        if letter in inputs and None not in (size, known) and size != known:
            raise ValueError(
                f"output_shape says {size} for axis {letter!r} of equation {equation!r}, the "
                f"input's shape {tuple(input_shape)} says {known}"
            )
        sizes[letter] = known if size is None else size
    for letter in outputs:
        if letter not in inputs and letter not in weights:
            raise ValueError(f"equation {equation!r}: {letter!r} of the output comes from nowhere")
    for letter in weights:
        if sizes.get(letter) is None:
            raise ValueError(
                f"equation {equation!r}: the kernel's axis {letter!r} has no known size from "
                f"the input's shape {tuple(input_shape)} or output_shape {tuple(output_shape)}"
            )
    kernel_shape = [int(sizes[letter] or 0) for letter in weights]
    if bias_axes is None:
        return kernel_shape, None
    unknown = set(bias_axes) - set(outputs)
    if unknown:
        raise ValueError(
            f"bias_axes must be letters of the output {outputs!r} of equation {equation!r}, got "
            f"{bias_axes!r}"
        )
    first = min(outputs.index(letter) for letter in bias_axes)
    bias_shape = [int(sizes[a] or 0) if a in bias_axes else 1 for a in outputs[first:]]
    return kernel_shape, bias_shape + [1] * (hidden if not left else 0)
