"""The steps of SimpleRNN, LSTM and GRU, forwards and backwards: pure functions for `scan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from . import activations
from .scan import Cell, Tensors

Function = Callable[[tf.Tensor], tf.Tensor]
# Activations whose gradient follows from their value alone: (y, dy) -> dx.
_SLOPES: dict[Function, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    activations.tanh: lambda y, dy: tf.raw_ops.TanhGrad(y=y, dy=dy),
    activations.sigmoid: lambda y, dy: tf.raw_ops.SigmoidGrad(y=y, dy=dy),
    activations.linear: lambda y, dy: dy,
}


def simple_cell(activation: Function, masked: Function) -> Cell:
    """`h = activation(x + h R)`; weights `(R [u, u],)`.

    Args:
        activation: of the state.
        masked: applied to the state before its product with R (recurrent dropout).
    """

    def step(x: tf.Tensor, states: Tensors, weights: Tensors) -> Any:
        h = activation(x + tf.matmul(masked(states[0]), weights[0]))
        return (h,), (h,)

    def back(kept: Tensors, d_states: Tensors, weights: Tensors) -> Any:
        d_x = _SLOPES[activation](kept[0], d_states[0])
        return d_x, (masked(tf.matmul(d_x, weights[0])),), ()

    def weight_gradients(before: tf.Tensor, d_xs: tf.Tensor, more: Tensors) -> Tensors:
        return (_product(masked(before), d_xs),)

    return _cell(step, 1, back, 0, weight_gradients, activation)


def lstm_cell(activation: Function, gate: Function, masked: Function) -> Cell:
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.

    `i, f, g, o = x + h R`; `c = gate(f) c + gate(i) activation(g)`; `h = gate(o) activation(c)`.
    States `(h, c)`, weights `(R [u, 4 u],)`.

    Args:
        activation: of the candidate g, and of the cell state on its way out.
        gate: activation of the gates.
        masked: applied to h before its product with R (recurrent dropout).
    """

    def step(x: tf.Tensor, states: Tensors, weights: Tensors) -> Any:
        h, c = states
        i, f, g, o = tf.split(x + tf.matmul(masked(h), weights[0]), 4, 1)
        i, f, g, o = gate(i), gate(f), activation(g), gate(o)
        new = f * c + i * g
        shown = activation(new)
        return (o * shown, new), (i, f, g, o, shown, c)

    def back(kept: Tensors, d_states: Tensors, weights: Tensors) -> Any:
        i, f, g, o, shown, c = kept
        d_h, d_c = d_states
        slope, gate_slope = _SLOPES[activation], _SLOPES[gate]
        d_c += slope(shown, d_h * o)
        parts = [
            gate_slope(i, d_c * g),
            gate_slope(f, d_c * c),
            slope(g, d_c * i),
            gate_slope(o, d_h * shown),
        ]
        d_x = tf.concat(parts, 1)  # [b, 4 u]
        return d_x, (masked(tf.matmul(d_x, weights[0])), d_c * f), ()

    def weight_gradients(before: tf.Tensor, d_xs: tf.Tensor, more: Tensors) -> Tensors:
        return (_product(masked(before), d_xs),)

    return _cell(step, 6, back, 0, weight_gradients, activation, gate)


def gru_cell(activation: Function, gate: Function, masked: Function) -> Cell:
    """Cho et al. 2014, the reset gate after the product (as in cuDNN).

    `pz, pr, pn = h R + b`; `z, r = gate(xz + pz), gate(xr + pr)`; `n = activation(xn + r pn)`;
    `h = z h + (1 - z) n`. Weights `(R [u, 3 u], b [3 u])`, or R alone.

    Args:
        activation: of the candidate n.
        gate: activation of the gates.
        masked: applied to h before its product with R (recurrent dropout).
    """

    def step(x: tf.Tensor, states: Tensors, weights: Tensors) -> Any:
        h = states[0]
        product = tf.matmul(masked(h), weights[0])
        if len(weights) == 2:
            product = tf.nn.bias_add(product, weights[1])
        xz, xr, xn = tf.split(x, 3, 1)
        pz, pr, pn = tf.split(product, 3, 1)
        z, r = gate(xz + pz), gate(xr + pr)
        n = activation(xn + r * pn)
        return (n + z * (h - n),), (z, r, n, pn, h)

    def back(kept: Tensors, d_states: Tensors, weights: Tensors) -> Any:
        z, r, n, pn, h = kept
        d_h = d_states[0]
        d_n = _SLOPES[activation](n, d_h * (1 - z))
        d_z, d_r = _SLOPES[gate](z, d_h * (h - n)), _SLOPES[gate](r, d_n * pn)
        d_pn = d_n * r
        d_before = masked(tf.matmul(tf.concat([d_z, d_r, d_pn], 1), weights[0]))
        return tf.concat([d_z, d_r, d_n], 1), (d_before + d_h * z,), (d_pn,)

    def weight_gradients(before: tf.Tensor, d_xs: tf.Tensor, more: Tensors) -> Tensors:
        gates = d_xs[..., : 2 * before.shape[-1]]
        d_product = tf.concat([gates, more[0]], -1)  # [t, b, 3 u]
        return _product(masked(before), d_product), tf.reduce_sum(d_product, [0, 1])

    return _cell(step, 5, back, 1, weight_gradients, activation, gate)


def gru_before_cell(activation: Function, gate: Function, masked: Function) -> Cell:
    """Cho et al. 2014, the reset gate before the product, as in the paper.

    `z, r = gate(xzr + h R)`; `n = activation(xn + (r h) S)`; `h = z h + (1 - z) n`. Weights
    `(R [u, 2 u], S [u, u])`; arguments as in `gru_cell`.
    """

    def step(x: tf.Tensor, states: Tensors, weights: Tensors) -> Any:
        h, seen = states[0], masked(states[0])
        pz, pr = tf.split(tf.matmul(seen, weights[0]), 2, 1)
        xz, xr, xn = tf.split(x, 3, 1)
        z, r = gate(xz + pz), gate(xr + pr)
        n = activation(xn + tf.matmul(r * seen, weights[1]))
        return (n + z * (h - n),), (z, r, n, h)

    def back(kept: Tensors, d_states: Tensors, weights: Tensors) -> Any:
        z, r, n, h = kept
        d_h, seen = d_states[0], masked(h)
        d_n = _SLOPES[activation](n, d_h * (1 - z))
        d_reset = tf.matmul(d_n, weights[1])
        gates = [_SLOPES[gate](z, d_h * (h - n)), _SLOPES[gate](r, d_reset * seen)]
        d_seen = tf.matmul(tf.concat(gates, 1), weights[0]) + d_reset * r
        return tf.concat([*gates, d_n], 1), (masked(d_seen) + d_h * z,), (r * seen,)

    def weight_gradients(before: tf.Tensor, d_xs: tf.Tensor, more: Tensors) -> Tensors:
        u = before.shape[-1]
        gates, d_n = d_xs[..., : 2 * u], d_xs[..., 2 * u :]
        return _product(masked(before), gates), _product(more[0], d_n)

    return _cell(step, 4, back, 1, weight_gradients, activation, gate)


def _cell(
    step: Any, kept: int, back: Any, more: int, weight_gradients: Any, *functions: Function
) -> Cell:
    """The cell, without its way back where the gradient of an activation is not known here."""
    if all(function in _SLOPES for function in functions):
        return Cell(step, kept, back, more, weight_gradients)
    return Cell(step)


def _product(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """`[t, b, m]' [t, b, n] -> [m, n]`, summed over steps and batch."""
    flat = [tf.reshape(v, [-1, v.shape[-1]]) for v in (a, b)]
    return tf.matmul(*flat, transpose_a=True)
