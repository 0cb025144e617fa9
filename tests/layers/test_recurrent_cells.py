"""One step of each cell against Keras's: outputs, states and gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal(size=[3, 2]).astype(np.float32)


@pytest.mark.parametrize("name, count, settings", [
    ("SimpleRNNCell", 1, {"activation": "relu"}),
    ("LSTMCell", 2, {"use_bias": False}),
    ("LSTMCell", 2, {"recurrent_activation": "hard_sigmoid"}),
    ("GRUCell", 1, {}),
    ("GRUCell", 1, {"reset_after": False}),
])  # fmt: skip
def test_a_step_and_its_gradients_are_keras(name, count, settings):
    ours, theirs = (getattr(m, name)(4, **settings) for m in (L, keras.layers))
    states = [tf.fill([3, 4], 0.1 * (i + 1)) for i in range(count)]
    ours(X, states)
    theirs(X, states)
    theirs.set_weights(ours.get_weights())
    ours.set_weights([w + 0.1 for w in theirs.get_weights()])
    theirs.set_weights(ours.get_weights())
    found = []
    for cell, variables in (
        (ours, ours.trainable_variables),
        (theirs, [v.value for v in theirs.trainable_variables]),
    ):
        with tf.GradientTape() as tape:
            tape.watch(states)
            output, new = cell(X, states)
            total = tf.add_n([tf.reduce_sum(tf.square(v + 0.3)) for v in (output, *new)])
        assert isinstance(new, list)
        found.append([output, *new, *tape.gradient(total, [*states, *variables])])
    for g, w in zip(*found, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


def test_sizes_and_first_states_are_keras():
    for name in ("SimpleRNNCell", "LSTMCell", "GRUCell"):
        ours, theirs = (getattr(m, name)(4) for m in (L, keras.layers))
        assert ours.state_size == theirs.state_size and ours.output_size == theirs.output_size
        got, want = (cell.get_initial_state(batch_size=3) for cell in (ours, theirs))
        for g, w in zip(got, want, strict=True):
            np.testing.assert_array_equal(g, w)


def test_one_state_may_be_given_alone():
    cell = L.GRUCell(4)
    output, state = cell(X, tf.zeros([3, 4]))
    np.testing.assert_array_equal(output, state)


def test_a_wrong_number_of_states_is_refused():
    with pytest.raises(ValueError, match=r"states of .* must hold 2 tensors of shape \[batch, 4\]"):
        L.LSTMCell(4)(X, [tf.zeros([3, 4])])


@pytest.mark.parametrize("cell", [
    L.SimpleRNNCell(4, "relu"), L.LSTMCell(4, dropout=0.3), L.GRUCell(4, reset_after=False),
    L.StackedRNNCells([L.GRUCell(3), L.LSTMCell(4, unit_forget_bias=False)]),
], ids=repr)  # fmt: skip
def test_a_repr_makes_the_cell_again(cell):
    twin = eval(repr(cell), vars(L))
    assert type(twin) is type(cell) and repr(twin) == repr(cell) and "None" not in repr(cell)
    states = cell.get_initial_state(3)
    cell(X, states)
    twin(X, states)
    twin.set_weights(cell.get_weights())
    np.testing.assert_array_equal(twin(X, states)[0], cell(X, states)[0])
