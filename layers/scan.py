"""A recurrence along time, with a gradient that takes the weights' part out of the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

Tensors = tuple[tf.Tensor, ...]


class Cell(NamedTuple):
    """One step of a recurrence and the same step taken back, as pure functions.

    `x` is the input's part of a step, `[b, k]`; the states are `[b, u]`, the first of them is the
    output.

    Attributes:
        step: `(x, states, weights) -> (new states, kept)`, where `kept` is what `back` needs.
        kept: how many tensors `[b, u]` that is.
        back: `(kept, d_states, weights) -> (d_x, d_states, more)`: the gradients of x and of the
            states before the step, from those after it; the weights come transposed. `more` is
            what `weight_gradients` needs besides. None where no such function is known:
            TensorFlow then differentiates `step`.
        more: how many tensors `[b, u]` that is.
        weight_gradients: `(outputs before each step [t, b, u], d_x of each step, more of each
            step) -> the gradients of the weights`.
    """

    step: Callable[[tf.Tensor, Tensors, Tensors], tuple[Tensors, Tensors]]
    kept: int = 0
    back: Any = None
    more: int = 0
    weight_gradients: Any = None


def scan(
    cell: Cell,
    xs: tf.Tensor,
    states: Sequence[tf.Tensor],
    weights: Sequence[tf.Tensor],
    *,
    mask: tf.Tensor | None = None,
    sequences: bool = False,
) -> tuple[tf.Tensor | None, Tensors]:
    """Runs a cell along time.

    The gradient of the weights is one product over all steps after the loop that goes back,
    instead of a small one added up in each step. It can be differentiated once more.

    Args:
        cell: the functions of a step.
        xs: `[t, b, k]`.
        states: initial states, each `[b, u]`.
        weights: what the cell's steps share.
        mask: boolean `[t, b, 1]`; where it is False, a step leaves the states as they are.
        sequences: whether the outputs of all steps are wanted.

    Returns:
        The outputs `[t, b, u]` (None unless `sequences`) and the last states.
    """
    count = len(states)

    def run(xs: tf.Tensor, *others: tf.Tensor) -> Tensors:
        outputs, last, _ = _forward(cell, xs, others[:count], others[count:], mask, sequences, 0)
        return (outputs.stack(), *last) if sequences else last

    @tf.custom_gradient
    def run_with_gradient(xs: tf.Tensor, *others: tf.Tensor) -> Any:
        states, weights = others[:count], others[count:]
        outputs, last, kept = _forward(cell, xs, states, weights, mask, True, cell.kept)
        results = (outputs.stack(), *last) if sequences else last

        def gradient(*d_results: tf.Tensor) -> Tensors:
            d_outputs = d_results[0] if sequences else None
            d_last = d_results[1:] if sequences else d_results
            d_xs, d_states, more = _backward(cell, xs, kept, d_outputs, d_last, weights, mask)
            all_outputs = results[0] if sequences else outputs.stack()
            before = tf.concat([states[0][None], all_outputs[:-1]], 0)  # [t, b, u]
            return (d_xs, *d_states, *cell.weight_gradients(before, d_xs, more)[: len(weights)])

        return results, gradient

    function = run if cell.back is None else run_with_gradient
    results = tuple(function(xs, *states, *weights))
    return (results[0], results[1:]) if sequences else (None, results)


def _forward(
    cell: Cell,
    xs: tf.Tensor,
    states: Tensors,
    weights: Tensors,
    mask: tf.Tensor | None,
    sequences: bool,
    kept: int,
) -> tuple[Any, Tensors, tuple[tf.TensorArray, ...]]:
    """The outputs as an array (None unless `sequences`), the last states, and what was kept."""
    reads, masks = _unstacked(xs), _unstacked(mask)
    first, t = states[0], _length(xs)
    arrays = tuple(_array(t, first) for _ in range(int(sequences) + kept))

    def body(i: Any, states: Tensors, arrays: tuple[Any, ...]) -> Any:
        new, written = cell.step(reads.read(i), states, weights)
        if masks is not None:
            acts = masks.read(i)
            new = tuple(tf.where(acts, n, s) for n, s in zip(new, states, strict=True))
        values = (new[:1] if sequences else ()) + (written if kept else ())
        arrays = tuple(a.write(i, v) for a, v in zip(arrays, values, strict=True))
        return i + 1, new, arrays

    # XLA needs the bound to size what the gradient keeps of each step.
    _, last, arrays = tf.while_loop(
        lambda i, *_: i < t, body, (0, tuple(states), arrays), maximum_iterations=t
    )
    return (arrays[0] if sequences else None), last, arrays[int(sequences) :]


def _backward(
    cell: Cell,
    xs: tf.Tensor,
    kept: tuple[tf.TensorArray, ...],
    d_outputs: tf.Tensor | None,
    d_last: Tensors,
    weights: Tensors,
    mask: tf.Tensor | None,
) -> tuple[tf.Tensor, Tensors, Tensors]:
    """The gradients of xs and of the initial states, and `more` of all steps."""
    t = _length(xs)
    d_reads, masks = _unstacked(d_outputs), _unstacked(mask)
    # Once here: a product with a transposed matrix is slower in every step.
    turned = tuple(tf.transpose(w) for w in weights)
    arrays = (_array(t, xs[0]), *(_array(t, d_last[0]) for _ in range(cell.more)))

    def body(i: Any, d_states: Tensors, arrays: tuple[Any, ...]) -> Any:
        i -= 1
        if d_reads is not None:
            d_states = (d_states[0] + d_reads.read(i), *d_states[1:])
        passed = None
        if masks is not None:
            acts = masks.read(i)
            passed = [tf.where(acts, tf.zeros_like(d), d) for d in d_states]
            d_states = tuple(tf.where(acts, d, tf.zeros_like(d)) for d in d_states)
        d_x, d_states, more = cell.back(tuple(k.read(i) for k in kept), d_states, turned)
        if passed is not None:
            d_states = tuple(d + p for d, p in zip(d_states, passed, strict=True))
        arrays = tuple(a.write(i, v) for a, v in zip(arrays, (d_x, *more), strict=True))
        return i, d_states, arrays

    _, d_states, arrays = tf.while_loop(
        lambda i, *_: i > 0, body, (t, tuple(d_last), arrays), maximum_iterations=t
    )
    return arrays[0].stack(), d_states, tuple(a.stack() for a in arrays[1:])


def _length(xs: tf.Tensor) -> Any:
    return tf.shape(xs)[0] if xs.shape[0] is None else xs.shape[0]


def _unstacked(values: tf.Tensor | None) -> Any:
    """A TensorArray of the steps: the gradient of a slice is as large as the whole sequence."""
    return None if values is None else _array(_length(values), values[0]).unstack(values)


def _array(size: Any, like: tf.Tensor) -> tf.TensorArray:
    # Read again by a second gradient from the same tape.
    return tf.TensorArray(like.dtype, size=size, element_shape=like.shape, clear_after_read=False)
