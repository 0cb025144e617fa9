"""Contrastive losses: halves with gathered candidates are the whole batch; values: catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import losses

BOTH_SIDES = {"clip", "nt_xent"}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", ["info_nce", "clip", "nt_xent", "siglip"])
def test_two_halves_with_gathered_candidates_are_one_batch(name, jit, rng):
    """What two replicas do that gather each other's embeddings, gradients included."""
    loss = getattr(losses, name)
    y, p = (tf.constant(rng.normal(size=(8, 5)), tf.float32) for _ in range(2))

    def half(i, y, p):
        part = slice(4 * i, 4 * i + 4)
        keys = (y, p) if name in BOTH_SIDES else y
        return loss(y[part], p[part], keys=keys, offset=4 * i)

    @tf.function(jit_compile=jit, autograph=False)
    def graded(y, p):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch((y, p))
            values = loss(y, p), tf.concat([half(i, y, p) for i in range(2)], 0)
        return [(v, *tape.gradient(v, (y, p))) for v in values]

    whole, halves = graded(y, p)
    for a, b in zip(whole, halves, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)


def test_a_temperature_may_be_learnt(rng):
    y, p = np.float32(rng.normal(size=(2, 6, 3)))
    scale, bias = tf.Variable(0.2), tf.Variable(-1.0)
    with tf.GradientTape() as tape:
        value = losses.siglip(y, p, scale, bias) + losses.clip(y, p, scale)
    assert all(np.abs(g) > 0 for g in tape.gradient(value, [scale, bias]))


def test_lengths_count_only_where_asked(rng):
    y, p = np.float32(rng.normal(size=(2, 6, 3)))
    np.testing.assert_allclose(losses.info_nce(3 * y, p), losses.info_nce(y, 2 * p), rtol=1e-4)
    logits = p @ y.T / 0.5
    wanted = -np.log(np.diag(np.exp(logits)) / np.exp(logits).sum(1))
    found = losses.InfoNCE(0.5, normalize=False).call(y, p)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_refusals():
    with pytest.raises(ValueError, match="row i of one belonging to row i"):
        losses.nt_xent(tf.zeros([4, 3]), tf.zeros([3, 3]))
    with pytest.raises(ValueError, match="temperature=0 must be above 0"):
        losses.CLIP(0)
