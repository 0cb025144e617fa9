"""Ranking softmax: identities; the value: catalogue."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import losses


def test_with_one_relevant_item_it_is_cross_entropy(rng):
    scores = np.float32(rng.normal(size=(4, 6)))
    np.testing.assert_allclose(
        losses.ranking_softmax(np.eye(6)[[0, 3, 5, 2]], scores),
        losses.sparse_categorical_crossentropy([0, 3, 5, 2], scores, True),
        rtol=1e-6,
    )


def test_padding_has_no_value_and_no_gradient(rng):
    relevance = np.array([[1.0, 0.0, -1.0], [-1.0, -1.0, -1.0]])
    scores = tf.constant(rng.normal(size=(2, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        values = losses.RankingSoftmax(0.5).call(relevance, scores)
    gradient = tape.gradient(values, scores).numpy()
    np.testing.assert_array_equal(gradient[relevance < 0], [0.0] * 4)
    short = losses.ranking_softmax([[1.0, 0.0]], scores[:1, :2], 0.5)
    np.testing.assert_allclose(values, [short[0], 0.0], rtol=1e-6)
