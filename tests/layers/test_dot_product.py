"""Attention's pure functions against NumPy in float64, and the chunked form against the whole."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from layers.dot_product import attend, chunked_attention, combine_masks, mix, place_mask

RNG = np.random.default_rng(0)
Q, K, V = (RNG.normal(size=[2, t, 3, d]) for t, d in ((7, 4), (7, 4), (7, 5)))
PADDED = np.array([[1] * 7, [1] * 4 + [0] * 3], bool)[:, None, None, :]


def reference(q, k, v, seen):
    """Softmax attention over the places that are seen, zeros where none is."""
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])
    weights = np.where(seen, np.exp(scores), 0.0)
    total = weights.sum(-1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return np.einsum("bhqk,bkhd->bqhd", weights, v)


def seen_by(causal, window):
    distance = np.arange(7)[:, None] - np.arange(7)[None, :]
    seen = (distance >= 0) | (not causal)
    return seen & (np.abs(distance) < (window or 99))


@pytest.mark.parametrize("causal, window", [(False, None), (False, 3), (True, None), (True, 3)])
def test_both_forms_are_the_formula(causal, window):
    q, k, v = (tf.constant(x, tf.float32) for x in (Q, K, V))
    places = place_mask(range(7), range(7), causal, window)
    for mask in (None, PADDED):
        seen = seen_by(causal, window) & (True if mask is None else mask)
        want = reference(Q, K, V, np.broadcast_to(seen, [2, 3, 7, 7]))
        both = mask if places is None else places if mask is None else places & mask
        for blind in (True,) if mask is not None else (True, False):
            got = mix(attend(q, k, both, blind=blind), v)
            np.testing.assert_allclose(got, want, atol=1e-6)
        got = chunked_attention(
            q, k, v, causal=causal, window=window, chunk=3,
            mask=None if mask is None else tf.constant(mask),
        )  # fmt: skip
        np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("jit", [None, True])
def test_the_gradients_by_chunks_are_those_of_the_whole(jit):
    mask = np.broadcast_to(RNG.random([2, 1, 7, 7]) > 0.4, [2, 1, 7, 7])
    mask = mask & np.array([[1], [1], [1], [0], [1], [1], [1]], bool)  # one sees nothing
    wave = tf.constant(RNG.normal(size=[2, 7, 3, 5]), tf.float32)
    values = [tf.constant(x, tf.float32) for x in (Q, K, V)]

    def whole(q, k, v):
        return mix(attend(q, k, tf.constant(mask) & place_mask(range(7), range(7), True, 4)), v)

    def chunked(q, k, v):
        return chunked_attention(q, k, v, mask=tf.constant(mask), causal=True, window=4, chunk=2)

    def gradients(function):
        @tf.function(jit_compile=jit, autograph=False)
        def run(*values):
            with tf.GradientTape() as tape:
                tape.watch(values)
                total = tf.reduce_sum(function(*values) * wave)
            return total, tape.gradient(total, values)

        return tf.nest.flatten(run(*values))

    for g, w in zip(gradients(chunked), gradients(whole), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-5)


def test_bfloat16_computes_the_softmax_in_float32():
    big = tf.constant(40.0 * np.eye(7)[None, :, None, :4], tf.bfloat16)
    v = tf.constant(V[:1, :, :1], tf.bfloat16)
    got = chunked_attention(big, big, v, chunk=4)
    assert got.dtype == tf.bfloat16
    want = mix(attend(big, big), v)
    np.testing.assert_allclose(tf.cast(got, tf.float32), tf.cast(want, tf.float32), atol=0.02)


def test_sequences_of_unknown_length_are_refused():
    run = tf.function(lambda x: chunked_attention(x, x, x), autograph=False)
    with pytest.raises(ValueError, match="needs sequences of known length"):
        run.get_concrete_function(tf.TensorSpec([2, None, 1, 4]))


def test_masks_are_anded():
    row, column = np.array([[1, 0]], bool), np.array([[1, 1, 0]], bool)
    got = combine_masks(row, column, None, np.ones([1, 2, 3], bool))
    np.testing.assert_array_equal(got[0, 0], [[1, 1, 0], [0, 0, 0]])
    assert combine_masks(None, None, None, None) is None
