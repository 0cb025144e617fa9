"""The transformer block against its formula made of Keras's layers; causality; the cache."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L

K = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=[2, 6, 8]).astype(np.float32)
TOKENS = RNG.integers(0, 9, [2, 6])
LLAMA = {
    "activation": "swiglu", "use_bias": False, "normalization": L.RMSNormalization,
    "num_key_value_heads": 1, "position_encoding": L.RotaryEncoding(), "sliding_window": 3,
}  # fmt: skip


def keras_block(activation, gated):
    """The same of Keras's layers, which make their weights in the same order."""
    inputs = keras.Input([None, 8])
    y = K.LayerNormalization()(inputs)
    x = inputs + K.MultiHeadAttention(2, 4)(y, y, use_causal_mask=True)
    y = K.LayerNormalization()(x)
    if gated:
        both = K.Dense(24)(y)
        y = K.Lambda(lambda v: keras.ops.silu(v[..., :12]) * v[..., 12:])(both)
    else:
        y = K.Dense(12, activation)(y)
    return keras.Model(inputs, x + K.Dense(8)(y))


@pytest.mark.parametrize("activation", ["gelu", "relu", "swiglu"])
def test_outputs_and_gradients_are_keras(activation):
    theirs = keras_block(activation, activation == "swiglu")
    ours = L.TransformerBlock(2, 12, causal=True, activation=activation)
    ours(X)
    ours.set_weights(theirs.get_weights())
    found = []
    for layer, variables in (
        (ours, ours.trainable_variables),
        (theirs, [v.value for v in theirs.trainable_variables]),
    ):
        with tf.GradientTape() as tape:
            y = layer(X)
            total = tf.reduce_sum(tf.square(y + 0.1))
        found.append([y, *tape.gradient(total, variables)])
    for g, w in zip(*found, strict=True):
        scale = max(1.0, np.abs(w).max())
        np.testing.assert_allclose(g, w, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("settings", [{}, LLAMA], ids=["gpt", "llama"])
def test_no_place_sees_a_later_one_and_a_masked_one_is_not_seen(settings):
    block = L.TransformerBlock(2, 12, causal=True, **settings)
    want = block(X)
    later = X.copy()
    later[:, 4:] += 1.0
    np.testing.assert_allclose(block(later)[:, :4], want[:, :4], atol=1e-6)
    mask = np.ones([2, 6], bool)
    mask[:, 1] = False
    other = X.copy()
    other[:, 1] += 1.0
    got, want = block(other, mask=mask), block(X, mask=mask)
    np.testing.assert_allclose(got[:, 2:], want[:, 2:], atol=1e-6)


def model(tie, **settings):
    blocks = [L.TransformerBlock(2, 12, causal=True, **settings) for _ in range(2)]
    positions = None if "position_encoding" in settings else L.PositionEmbedding(8)
    return L.CausalTransformer(9, 8, blocks=blocks, positions=positions, tie_weights=tie)


@pytest.mark.parametrize("settings", [{}, LLAMA], ids=["gpt", "llama"])
def test_with_a_cache_the_logits_are_those_of_the_whole_sequence(settings):
    gpt = model(bool(settings), **settings)
    want = gpt(TOKENS)
    cache = gpt.new_cache(2, 8)
    first, cache = gpt(TOKENS[:, :3], cache=cache)
    np.testing.assert_allclose(first, want[:, :3], atol=1e-5)
    step = tf.function(gpt, autograph=False)
    for i in range(3, 6):
        logits, cache = step(TOKENS[:, i : i + 1], cache=cache, index=tf.constant(i))
        np.testing.assert_allclose(logits, want[:, i : i + 1], atol=1e-5)


def test_what_was_set_before_the_parts_existed_reaches_them():
    block = L.TransformerBlock(2, 12, dropout=0.5)
    block.compute_dtype, block.trainable = "bfloat16", False
    block.seed_source = lambda: tf.constant([1, 2])
    assert block(X).dtype == tf.bfloat16
    assert block.trainable_variables == []
    y = [tf.cast(block(X, training=True), tf.float32).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*y)


def test_tied_weights_are_one():
    gpt = model(True)
    gpt(TOKENS)
    assert len(gpt.weights) == len({v.ref() for v in gpt.weights})
    assert gpt.weights[0].shape == [9, 8] and gpt.weights[-1].shape == [8]


def test_what_is_refused():
    with pytest.raises(ValueError, match="shares 8 features among num_heads=3"):
        L.TransformerBlock(3, 12)(X)
    with pytest.raises(ValueError, match="blocks must be causal"):
        L.CausalTransformer(9, 8, blocks=[L.TransformerBlock(2, 12)])
    with pytest.raises(ValueError, match="has learnt 8 places, so length=9 is too much"):
        model(False).new_cache(2, 9)
