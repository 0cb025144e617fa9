"""Bidirectional against Keras: every merge, masks, states; what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal(size=[3, 5, 2]).astype(np.float32)
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1]], bool)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("merge", ["concat", "sum", "ave", "mul", None])
def test_outputs_and_gradients_are_keras(merge, sequences, masked):
    settings = {"return_sequences": sequences, "return_state": True}
    kind, states = ("GRU", 2) if merge in ("sum", None) else ("LSTM", 4)
    ours = L.Bidirectional(getattr(L, kind)(3, **settings), merge)
    theirs = keras.layers.Bidirectional(getattr(keras.layers, kind)(3, **settings), merge)
    initial = [tf.fill([3, 3], 0.1 * i) for i in range(states)]
    mask = MASK if masked else None
    theirs(X)
    ours(X)
    ours.set_weights(theirs.get_weights())
    found = []
    for layer, variables in (
        (ours, ours.trainable_variables),
        (theirs, [v.value for v in theirs.trainable_variables]),
    ):
        with tf.GradientTape() as tape:
            results = tf.nest.flatten(layer(X, initial_state=initial, mask=mask))
            total = tf.add_n([tf.reduce_sum(tf.square(r + 0.1)) for r in results])
        found.append([*results, *tape.gradient(total, variables)])
    for g, w in zip(*found, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


def test_stateful_layers_go_on_and_are_reset():
    layer = L.Bidirectional(L.GRU(3, stateful=True))
    layer(X)
    layer.reset_state()
    first = layer(X).numpy()
    assert not np.allclose(layer(X), first, atol=1e-4)
    layer.reset_state()
    np.testing.assert_allclose(layer(X), first, atol=1e-6)


def test_what_is_refused():
    with pytest.raises(ValueError, match="merge_mode must be one of"):
        L.Bidirectional(L.GRU(3), "add")
    with pytest.raises(TypeError, match="layer must be a SimpleRNN, GRU, LSTM or RNN"):
        L.Bidirectional(L.Dense(3))
    with pytest.raises(ValueError, match="different directions"):
        L.Bidirectional(L.GRU(3), backward_layer=L.GRU(3))
    with pytest.raises(ValueError, match="must agree in return_sequences"):
        L.Bidirectional(L.GRU(3), backward_layer=L.GRU(3, go_backwards=True, return_sequences=True))
    built = L.GRU(3)
    built(X)
    with pytest.raises(ValueError, match="layer is built already"):
        L.Bidirectional(built)
