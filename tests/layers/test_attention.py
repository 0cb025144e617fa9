"""Attention against Keras: cross attention, every mask, the weights it returns."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

RNG = np.random.default_rng(0)
Q, V, K = (RNG.normal(size=s).astype(np.float32) for s in ((2, 4, 6), (2, 5, 3), (2, 5, 7)))
VALUE_MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
BOTH_MASK = (np.arange(2 * 4 * 5).reshape(2, 4, 5) % 3) != 1


@pytest.mark.parametrize("settings", [
    {}, {"attention_mask": BOTH_MASK}, {"use_causal_mask": True},
    {"attention_mask": BOTH_MASK, "use_causal_mask": True},
], ids=["none", "mask", "causal", "both"])  # fmt: skip
@pytest.mark.parametrize("scores", [False, True])
def test_cross_attention_is_keras(settings, scores):
    arguments = {"value_dim": 4, "output_shape": 5}
    ours = L.MultiHeadAttention(2, 3, **arguments)
    theirs = keras.layers.MultiHeadAttention(2, 3, **arguments)
    call = settings | {"return_attention_scores": scores}
    theirs(Q, V, K, **call)
    ours(Q, V, K)
    ours.set_weights(theirs.get_weights())
    got, want = ours(Q, V, K, **call), theirs(Q, V, K, **call)
    for g, w in zip(tf.nest.flatten(got), tf.nest.flatten(want), strict=True):
        np.testing.assert_allclose(g, w, atol=1e-5)


def test_a_masked_value_has_no_influence():
    layer = L.MultiHeadAttention(2, 3)
    want = layer(Q, V, value_mask=VALUE_MASK)
    other = V + 9.0 * ~VALUE_MASK[..., None]
    np.testing.assert_allclose(layer(Q, other, value_mask=VALUE_MASK), want, atol=1e-6)
    np.testing.assert_allclose(layer(Q, V, key_mask=VALUE_MASK), want, atol=1e-6)


def test_a_query_that_sees_nothing_has_zero_weights():
    layer = L.MultiHeadAttention(2, 3)
    mask = np.array([[True, True, False, False]] * 2)
    _, weights = layer(Q, V, query_mask=mask, return_attention_scores=True)
    np.testing.assert_allclose(np.sum(weights, -1)[:, :, :2], 1.0, rtol=1e-6)
    assert not np.any(weights[:, :, 2:])


def test_causal_attention_sees_no_future():
    layer = L.MultiHeadAttention(2, 3)
    later = Q.copy()
    later[:, 2:] += 1
    a, b = (layer(x, use_causal_mask=True)[:, :2] for x in (Q, later))
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_what_is_refused():
    layer = L.MultiHeadAttention(2, 3)
    layer(Q, V)
    with pytest.raises(ValueError, match="here with 3 values on axis -1"):
        layer(Q, K)
    with pytest.raises(ValueError, match="attention_mask must have shape"):
        layer(Q, V, attention_mask=VALUE_MASK)
