"""The scan's own gradient against TensorFlow's of the same step, in float64 and in every mode."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from layers import activations, cells
from layers.scan import Cell, scan

T, B, U = 4, 3, 2
CELLS = {
    "simple": (cells.simple_cell, 1, 1, [[U, U]]),
    "lstm": (cells.lstm_cell, 4, 2, [[U, 4 * U]]),
    "gru": (cells.gru_cell, 3, 1, [[U, 3 * U], [3 * U]]),
    "gru-no-bias": (cells.gru_cell, 3, 1, [[U, 3 * U]]),
    "gru-before": (cells.gru_before_cell, 3, 1, [[U, 2 * U], [U, U]]),
}
MASK = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]], bool)[..., None]


def setting(name, dtype=tf.float64):
    """A cell, the same without its way back, and values for the arguments of a scan."""
    make, gates, states, weights = CELLS[name]
    drop = tf.constant([[0.0, 2.0]], dtype)
    functions = [activations.tanh] if name == "simple" else [activations.tanh, activations.sigmoid]
    cell = make(*functions, masked=drop.__mul__)
    rng = np.random.default_rng(1)
    shapes = [[T, B, gates * U], *[[B, U]] * states, *weights]
    values = [tf.constant(rng.normal(size=s), dtype) for s in shapes]
    return cell, Cell(cell.step), values, states


def wave(like):
    """Weights that differ from place to place."""
    return tf.reshape(tf.cos(tf.cast(tf.range(tf.size(like)), like.dtype)), tf.shape(like))


def graded(cell, values, states, mask, sequences):
    """The result and the gradients of a weighted sum of all that comes out."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs, last = scan(
            cell, values[0], values[1 : 1 + states], values[1 + states :],
            mask=mask, sequences=sequences,
        )  # fmt: skip
        results = [*last] + ([outputs] if sequences else [])
        total = tf.add_n([tf.reduce_sum(r * wave(r)) for r in results])
    return total, tape.gradient(total, values)


@pytest.mark.parametrize("name", CELLS)
def test_its_gradient_is_tensorflows(name):
    cell, plain, values, states = setting(name)
    assert cell.back is not None and plain.back is None
    for mask, sequences in itertools.product((None, tf.constant(MASK)), (False, True)):
        want = graded(plain, values, states, mask, sequences)
        got = graded(cell, values, states, mask, sequences)
        for g, w in zip(tf.nest.flatten(got), tf.nest.flatten(want), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_modes_agree(name):
    cell, _, values, states = setting(name, tf.float32)
    mask = tf.constant(MASK)
    want = graded(cell, values, states, mask, True)
    for jit in (False, True):
        run = tf.function(
            lambda *v: graded(cell, list(v), states, mask, True), jit_compile=jit, autograph=False
        )
        for g, w in zip(tf.nest.flatten(run(*values)), tf.nest.flatten(want), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-before"])
@pytest.mark.parametrize("compiled", [False, True])
def test_second_gradients_are_tensorflows(name, compiled):
    cell, plain, values, states = setting(name)

    def second(cell):
        with tf.GradientTape() as tape:
            tape.watch(values)
            _, first = graded(cell, values, states, tf.constant(MASK), True)
            total = tf.add_n([tf.reduce_sum(tf.square(g)) for g in first])
        return tape.gradient(total, values)

    run = tf.function(second, autograph=False) if compiled else second
    for g, w in zip(run(cell), run(plain), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-10)


def test_a_persistent_tape_may_ask_twice():
    cell, _, values, _states = setting("lstm")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        _, last = scan(cell, values[0], values[1:3], values[3:])
    np.testing.assert_array_equal(
        tape.gradient(last[0], values[0]), tape.gradient(last[0], values[0])
    )


def test_other_activations_are_differentiated_by_tensorflow():
    make, *_ = CELLS["lstm"]
    assert make(activations.gelu, activations.sigmoid, masked=tf.identity).back is None
    assert make(activations.tanh, activations.hard_sigmoid, masked=tf.identity).back is None
