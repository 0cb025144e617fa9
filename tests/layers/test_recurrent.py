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


def test_the_forget_bias_starts_at_one():
    layer = L.LSTM(2)
    layer(X)
    assert layer.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    layer = L.LSTM(2, unit_forget_bias=False)
    layer(X)
    assert not layer.bias.numpy().any()


def test_input_dropout_keeps_one_mask_for_all_steps():
    layer = L.SimpleRNN(8, "linear", dropout=0.5, return_sequences=True, use_bias=False)
    layer(np.ones([1, 4, 8], np.float32))
    layer.set_weights([np.eye(8), np.zeros([8, 8])])
    y = layer(np.ones([1, 4, 8], np.float32), training=True).numpy()
    assert (y == y[:, :1]).all() and set(np.unique(y)) <= {0.0, 2.0}
