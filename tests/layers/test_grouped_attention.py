"""Grouped-query attention against Keras, with every mask, and against plain attention."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal(size=[2, 5, 6]).astype(np.float32)
# Each query sees something: one that sees nothing gets zeros here, an average of all in Keras.
BOTH = (np.arange(2 * 5 * 5).reshape(2, 5, 5) % 3 != 1) | np.eye(5, dtype=bool)
BOTH |= np.eye(5, k=-1, dtype=bool)
VALUES = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], bool)


@pytest.mark.parametrize("call", [
    {}, {"use_causal_mask": True}, {"attention_mask": BOTH}, {"value_mask": VALUES},
    {"attention_mask": BOTH, "use_causal_mask": True, "value_mask": VALUES},
], ids=["none", "causal", "attention", "value", "all"])  # fmt: skip
@pytest.mark.parametrize("window", [None, 2])
def test_outputs_and_gradients_are_keras(call, window):
    ours = L.GroupedQueryAttention(3, 4, num_key_value_heads=2, sliding_window=window)
    theirs = keras.layers.GroupQueryAttention(3, 4, 2, sliding_window=window)
    theirs(X, X)
    ours(X)
    ours.set_weights(theirs.get_weights())
    found = []
    for layer, variables in (
        (ours, ours.trainable_variables),
        (theirs, [v.value for v in theirs.trainable_variables]),
    ):
        with tf.GradientTape() as tape:
            y = layer(X, X, **call)
            total = tf.reduce_sum(tf.square(y + 0.1))
        found.append([y, *tape.gradient(total, variables)])
    for g, w in zip(*found, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


def test_as_many_key_heads_as_query_heads_are_plain_attention():
    grouped = L.GroupedQueryAttention(3, 2, num_key_value_heads=2)
    plain = L.MultiHeadAttention(2, 3)
    plain(X)
    grouped(X)
    grouped.set_weights(plain.get_weights())
    np.testing.assert_array_equal(grouped(X), plain(X))


def test_the_cache_holds_the_key_heads_alone():
    layer = L.GroupedQueryAttention(3, 4, num_key_value_heads=1)
    assert layer.new_cache(2, 7).keys.shape == [7, 2, 1, 3]


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="num_key_value_heads must divide num_query_heads, 4"):
        L.GroupedQueryAttention(3, 4, num_key_value_heads=3)
