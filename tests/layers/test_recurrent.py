"""Recurrent layers: states in and out against Keras, unknown length, dropout masks."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal(size=[3, 5, 2]).astype(np.float32)


@pytest.mark.parametrize("name, count", [("SimpleRNN", 1), ("GRU", 1), ("LSTM", 2)])
def test_states_in_and_out_are_keras(name, count):
    settings = {"return_state": True, "return_sequences": True, "go_backwards": True}
    ours, theirs = getattr(L, name)(4, **settings), getattr(keras.layers, name)(4, **settings)
    states = [np.full([3, 4], 0.1 * (i + 1), np.float32) for i in range(count)]
    theirs(X)
    ours(X)
    ours.set_weights(theirs.get_weights())
    got = ours(X, initial_state=states)
    for g, w in zip(got, theirs(X, initial_state=states), strict=True):
        np.testing.assert_allclose(g, w, atol=1e-6)
    with pytest.raises(ValueError, match="initial_state"):
        ours(X, initial_state=[*states, states[0]])


MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], bool)


def results_and_gradients(layer, x, states, mask, variables):
    """All outputs, and the gradients of a weighted sum of them by inputs, states and weights."""
    sources = [tf.constant(x), *(tf.constant(s) for s in states), *variables]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        given = {"initial_state": sources[1 : 1 + len(states)]} if states else {}
        results = tf.nest.flatten(layer(sources[0], mask=mask, **given))
        total = tf.add_n(
            [
                tf.reduce_sum(r * tf.cos(tf.reshape(tf.range(tf.size(r), delta=1.0), tf.shape(r))))
                for r in results
            ]
        )
    return [np.asarray(v) for v in (*results, *tape.gradient(total, sources))]


def assert_parity(ours, theirs, x, states, mask):
    """Our layer and its twin, with equal weights, give equal results and gradients."""
    got = results_and_gradients(ours, x, states, mask, ours.trainable_variables)
    want = results_and_gradients(
        theirs, x, states, mask, [v.value for v in theirs.trainable_variables]
    )
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name, count, settings", [
    ("SimpleRNN", 1, {"go_backwards": True}),
    ("SimpleRNN", 1, {"activation": "relu", "use_bias": False}),
    ("GRU", 1, {}),
    ("GRU", 1, {"use_bias": False}),
    ("GRU", 1, {"reset_after": False, "go_backwards": True}),
    ("LSTM", 2, {}),
    ("LSTM", 2, {"activation": "gelu", "recurrent_activation": "hard_sigmoid"}),
])  # fmt: skip
def test_outputs_and_gradients_are_keras(name, count, settings, masked, sequences):
    settings = settings | {"return_sequences": sequences, "return_state": True}
    ours, theirs = getattr(L, name)(4, **settings), getattr(keras.layers, name)(4, **settings)
    theirs(X)
    ours(X)
    ours.set_weights(theirs.get_weights())
    states = [np.full([3, 4], 0.1 * (i + 1), np.float32) for i in range(count)]
    assert_parity(ours, theirs, X, states, MASK if masked else None)


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_a_stateful_layer_goes_on_as_keras_until_it_is_reset(name):
    ours, theirs = (getattr(m, name)(4, stateful=True) for m in (L, keras.layers))
    theirs(X)
    ours(X)
    theirs.reset_state()
    ours.reset_state()
    ours.set_weights([*theirs.get_weights(), *ours.get_weights()[3:]])
    first = ours(X).numpy()
    np.testing.assert_allclose(first, theirs(X), atol=1e-6)
    for mask in (None, MASK, None):
        np.testing.assert_allclose(ours(X, mask=mask), theirs(X, mask=mask), atol=1e-6)
    assert not np.allclose(ours(X), first, atol=1e-3)
    ours.reset_state()
    np.testing.assert_allclose(tf.function(ours, jit_compile=True)(X), first, atol=1e-6)
    with pytest.raises(ValueError, match="is stateful for batches of 3, got one of 2"):
        ours(X[:2])
    assert not any("state" in v.name for v in ours.trainable_variables)


def test_two_halves_are_one_whole():
    layer = L.LSTM(4, return_state=True)
    whole = layer(X)
    half = layer(X[:, :2])
    for got, want in zip(layer(X[:, 2:], initial_state=half[1:]), whole, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_unknown_length():
    layer = L.GRU(4, return_sequences=True)
    want = layer(X)
    traced = tf.function(layer, input_signature=[tf.TensorSpec([None, None, 2])])
    np.testing.assert_allclose(traced(X), want, atol=1e-6)
    np.testing.assert_allclose(traced(X[:, :3]), want[:, :3], atol=1e-6)


def test_input_dropout_keeps_one_mask_for_all_steps():
    layer = L.SimpleRNN(8, "linear", dropout=0.5, return_sequences=True, use_bias=False)
    layer(np.ones([1, 4, 8], np.float32))
    layer.set_weights([np.eye(8), np.zeros([8, 8])])
    y = layer(np.ones([1, 4, 8], np.float32), training=True).numpy()
    assert (y == y[:, :1]).all() and set(np.unique(y)) <= {0.0, 2.0}
