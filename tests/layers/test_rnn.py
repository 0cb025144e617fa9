"""RNN and stacked cells against Keras and the layers of one cell; cells of one's own; dropout."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal(size=[3, 5, 2]).astype(np.float32)
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
CELLS = {
    "simple": lambda m: m.SimpleRNNCell(4),
    "lstm": lambda m: m.LSTMCell(4),
    "gru": lambda m: m.GRUCell(4),
    "stack": lambda m: [m.LSTMCell(3), m.GRUCell(4)],
}


def results_and_gradients(layer, x, mask, variables, initial=None):
    sources = [tf.constant(x), *variables]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        given = {} if initial is None else {"initial_state": initial}
        results = tf.nest.flatten(layer(sources[0], mask=mask, **given))
        total = tf.add_n(
            [
                tf.reduce_sum(r * tf.cos(tf.reshape(tf.range(tf.size(r), delta=1.0), tf.shape(r))))
                for r in results
            ]
        )
    return [*results, *tape.gradient(total, sources)]


def assert_close(got, want, tolerance=1e-5):
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind, settings, masked", [
    ("simple", {"go_backwards": True}, True),
    ("lstm", {"return_sequences": True}, False),
    ("gru", {"return_sequences": True, "zero_output_for_mask": True}, True),
    ("gru", {"zero_output_for_mask": True}, True),
    ("stack", {}, False),
    ("stack", {"return_sequences": True}, True),
    ("stack", {"go_backwards": True}, True),
])  # fmt: skip
def test_outputs_states_and_gradients_are_keras(kind, settings, masked):
    ours, theirs = (m.RNN(CELLS[kind](m), return_state=True, **settings) for m in (L, keras.layers))
    ours(X)
    theirs(X)
    theirs.set_weights(ours.get_weights())  # in both directions: the order is one
    ours.set_weights(theirs.get_weights())
    sizes = tf.nest.map_structure(lambda s: tf.fill(s.shape, 0.2), list(theirs(X)[1:]))
    mask = MASK if masked else None
    assert_close(
        results_and_gradients(ours, X, mask, ours.trainable_variables, sizes),
        results_and_gradients(
            theirs, X, mask, [v.value for v in theirs.trainable_variables], sizes
        ),
    )


@pytest.mark.parametrize("cell, layer", [
    ("SimpleRNNCell", "SimpleRNN"), ("LSTMCell", "LSTM"), ("GRUCell", "GRU")
])  # fmt: skip
def test_a_cell_run_along_time_is_its_layer(cell, layer):
    settings = {"return_sequences": True, "return_state": True}
    one, other = L.RNN(getattr(L, cell)(4), **settings), getattr(L, layer)(4, **settings)
    one(X)
    other(X)
    other.set_weights(one.get_weights())
    found = [results_and_gradients(m, X, MASK, m.trainable_variables) for m in (one, other)]
    assert_close(*found)


def test_a_stack_is_layers_one_after_the_other():
    stack = L.RNN([L.LSTMCell(3), L.GRUCell(4)])
    both = L.Sequential([L.LSTM(3, return_sequences=True), L.GRU(4)])
    both(X)
    want = stack(X)
    both.set_weights(stack.get_weights())
    np.testing.assert_allclose(both(X), want, atol=1e-6)
    traced = tf.function(stack, input_signature=[tf.TensorSpec([None, None, 2])])
    np.testing.assert_allclose(traced(X), want, atol=1e-6)
    assert traced(X[:1, :2]).shape == (1, 4)


def test_a_stateful_cell_goes_on_as_keras_until_it_is_reset():
    ours, theirs = (m.RNN(m.LSTMCell(4), stateful=True) for m in (L, keras.layers))
    for layer in (ours, theirs):
        layer(X)
        layer.reset_state()
    ours.set_weights([*ours.get_weights()[:2], *theirs.get_weights()])
    for mask in (None, MASK, None):
        np.testing.assert_allclose(ours(X, mask=mask), theirs(X, mask=mask), atol=1e-6)


def test_a_stateful_stack_goes_on_until_it_is_reset():
    # Keras cannot reset the nested states of a stack, so its states are handed on by hand.
    ours = L.RNN([L.LSTMCell(3), L.GRUCell(4)], stateful=True)
    ours(X)
    ours.reset_state()
    first, second = ours(X).numpy(), ours(X, mask=MASK).numpy()
    theirs = keras.layers.RNN(
        [keras.layers.LSTMCell(3), keras.layers.GRUCell(4)], return_state=True
    )
    theirs(X)
    theirs.set_weights(ours.get_weights()[3:])
    want, *states = theirs(X)
    np.testing.assert_allclose(first, want, atol=1e-6)
    np.testing.assert_allclose(second, theirs(X, initial_state=states, mask=MASK)[0], atol=1e-6)
    ours.reset_state()
    np.testing.assert_allclose(ours(X), first, atol=1e-6)
    with pytest.raises(ValueError, match="is stateful for batches of 3, got one of 2"):
        ours(X[:2])
    assert not any("state" in v.name for v in ours.trainable_variables)


class Leaky(L.Layer):
    """`h = h / 2 + x @ kernel`, `n` counts steps; the output is `[h, n]`: a cell of one's own."""

    state_size = (2, 1)
    output_size = 3

    def build(self, input_shape):
        self.inner = L.Dense(2, use_bias=False)
        self.inner.build(input_shape)

    def call(self, inputs, states, training=False):
        h, n = states
        h, n = 0.5 * h + self.inner(inputs), n + 1
        return tf.concat([h, n], -1), [h, n]


def test_a_cell_of_ones_own():
    layer = L.RNN(Leaky(), return_state=True)
    output, h, n = layer(X)
    product = np.float64(X) @ np.float64(layer.cell.inner.kernel)
    want = sum(product[:, t] * 0.5 ** (4 - t) for t in range(5))
    np.testing.assert_allclose(h, want, atol=1e-5)
    np.testing.assert_array_equal(n, np.full([3, 1], 5.0))
    np.testing.assert_array_equal(output, np.concatenate([h, n], 1))
    _, _, n = layer(X, mask=MASK)
    np.testing.assert_array_equal(n[:, 0], MASK.sum(1))
    stacked, *states = L.RNN([Leaky(), L.GRUCell(4)], return_state=True)(X)
    np.testing.assert_array_equal(stacked, states[1][0])
    both = L.Bidirectional(L.RNN(Leaky(), True))(X)
    np.testing.assert_array_equal(both[..., 5], np.tile([5, 4, 3, 2, 1], [3, 1]))


class First(L.Layer):
    """Puts out its state, dropped out; begins at one."""

    state_size = 50

    def __init__(self):
        super().__init__()
        self.noise = L.Dropout(0.5)

    def get_initial_state(self, batch_size):
        return tf.ones([batch_size, 50])

    def call(self, inputs, states, training=False):
        return self.noise(states[0], training=training), states[0]


@pytest.mark.parametrize("recompute", [False, True])
def test_what_a_cell_draws_it_draws_once_for_all_steps(recompute):
    layer = L.RNN(First(), True)
    np.testing.assert_array_equal(layer(X), np.ones([3, 5, 50]))
    layer.recompute = recompute
    for run in (layer, tf.function(layer)):
        y = run(X, training=True).numpy()
        assert (y == y[:, :1]).all() and set(np.unique(y)) == {0.0, 2.0}
        assert (y != run(X, training=True).numpy()).any()
        assert (y[0] != y[1]).any()


def test_recomputed_dropout_gives_the_same_gradients():
    layer = L.RNN([L.GRUCell(4, dropout=0.3), L.LSTMCell(3, recurrent_dropout=0.3)])
    layer(X)
    layer.seed_source = lambda: tf.constant([1, 2])
    found = []
    for layer.recompute in (False, True):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(X, training=True) ** 2)
        found.append(tape.gradient(loss, layer.trainable_variables))
    assert_close(*found)


def test_what_is_no_cell_is_refused():
    with pytest.raises(TypeError, match="cell must be layers with a state_size"):
        L.RNN(L.Dense(3))
    with pytest.raises(ValueError, match="one cell or more"):
        L.StackedRNNCells([])
    cell = Leaky()
    cell.output_size = 2
    with pytest.raises(ValueError, match="gave an output of size 3 and states of sizes"):
        L.RNN(cell)(X)
    with pytest.raises(ValueError, match=r"initial_state of .* must hold 2 tensors"):
        L.RNN(Leaky())(X, initial_state=[tf.zeros([3, 2])])
    with pytest.raises(ValueError, match="states of 1 cells, got 2"):
        L.StackedRNNCells([L.GRUCell(3)])(X[:, 0], [[tf.zeros([3, 3])]] * 2)
