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
# All see key 0, so that no query sees nothing.
BOTH_MASK = (np.arange(2 * 4 * 5).reshape(2, 4, 5) % 3 != 1) | (np.arange(5) == 0)


MASKS = {
    "none": {},
    "attention": {"attention_mask": BOTH_MASK},
    "heads": {"attention_mask": np.stack([BOTH_MASK, ~BOTH_MASK | (np.arange(5) == 1)], 1)},
    "causal": {"use_causal_mask": True},
    "value": {"value_mask": VALUE_MASK},
    "key": {"key_mask": VALUE_MASK},
    "all": {"attention_mask": BOTH_MASK, "use_causal_mask": True, "value_mask": VALUE_MASK},
}


@pytest.mark.parametrize("flash", [None, True])
@pytest.mark.parametrize("masks", MASKS)
def test_outputs_and_gradients_are_keras(masks, flash):
    """Cross attention over another length; also where the weights are not kept."""
    arguments = {"value_dim": 4, "output_shape": 5}
    ours = L.MultiHeadAttention(2, 3, flash_attention=flash, **arguments)
    theirs = keras.layers.MultiHeadAttention(2, 3, **arguments)
    theirs(Q, V, K)
    ours(Q, V, K)
    ours.set_weights(theirs.get_weights())
    found = []
    for layer, variables in (
        (ours, ours.trainable_variables),
        (theirs, [v.value for v in theirs.trainable_variables]),
    ):
        sources = [tf.constant(x) for x in (Q, V, K)]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            y = layer(*sources, **MASKS[masks])
            total = tf.reduce_sum(tf.square(y + 0.1))
        found.append([y, *tape.gradient(total, [*sources, *variables])])
    for g, w in zip(*found, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


def test_the_weights_it_returns_are_keras():
    ours, theirs = L.MultiHeadAttention(2, 3), keras.layers.MultiHeadAttention(2, 3)
    theirs(Q, V)
    ours(Q, V)
    ours.set_weights(theirs.get_weights())
    call = MASKS["all"] | {"return_attention_scores": True}
    for g, w in zip(ours(Q, V, **call), theirs(Q, V, **call), strict=True):
        np.testing.assert_allclose(g, w, atol=1e-6)


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


@pytest.mark.parametrize("jit", [False, True])
def test_with_a_cache_each_step_sees_what_was_before(jit):
    layer = L.MultiHeadAttention(2, 4, sliding_window=3, position_encoding=L.RotaryEncoding())
    want = layer(Q, use_causal_mask=True)
    step = tf.function(layer, jit_compile=jit, autograph=False)
    y, cache = step(Q[:, :1], cache=layer.new_cache(2, 6), index=tf.constant(0))
    outputs = [y]
    for i in range(1, 4):
        y, cache = step(Q[:, i : i + 1], cache=cache, index=tf.constant(i))
        outputs.append(y)
    np.testing.assert_allclose(tf.concat(outputs, 1), want, atol=1e-6)
    assert step.experimental_get_tracing_count() == 1


def test_flash_attention_refuses_what_needs_the_weights_and_takes_a_cache():
    layer = L.MultiHeadAttention(2, 3, flash_attention=True)
    with pytest.raises(ValueError, match="does not go with return_attention_scores=True"):
        layer(Q, return_attention_scores=True)
    y, _ = layer(Q, cache=layer.new_cache(2, 6))
    np.testing.assert_allclose(y, layer(Q, use_causal_mask=True), atol=1e-6)
    with pytest.raises(ValueError, match="keeps no weights that dropout"):
        L.MultiHeadAttention(2, 3, flash_attention=True, dropout=0.1)


def test_what_is_refused():
    with pytest.raises(TypeError, match="position_encoding must be a function"):
        L.MultiHeadAttention(2, 3, position_encoding="rotary")
    layer = L.MultiHeadAttention(2, 3)
    layer(Q, V)
    with pytest.raises(ValueError, match="here with 3 values on axis -1"):
        layer(Q, K)
    with pytest.raises(ValueError, match="attention_mask must have shape"):
        layer(Q, V, attention_mask=VALUE_MASK)
