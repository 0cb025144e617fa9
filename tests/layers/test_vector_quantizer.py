"""VectorQuantizer: nearest codes, straight-through gradient and moving codes, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers.probes import two_replica_strategy

X = np.random.default_rng(0).normal(size=[6, 4, 3]).astype(np.float32)


def test_nearest_codes_and_their_moving_means(run):
    layer = L.VectorQuantizer(5, 0.9)
    layer(X)
    codes = np.random.default_rng(1).normal(size=[5, 3])
    counts = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    layer.set_weights([codes, counts, codes * counts[:, None]])
    nearest = ((np.float64(X)[..., None, :] - codes) ** 2).sum(-1).argmin(-1)
    np.testing.assert_array_equal(run(layer.indices, X), nearest)
    np.testing.assert_allclose(run(layer, X), codes[nearest], atol=1e-6)
    off = ((X - codes[nearest]) ** 2).mean(-1)
    np.testing.assert_allclose(layer.commitment(X), off, rtol=1e-5, atol=1e-6)
    run(lambda x: layer(x, training=True), X)
    chosen = np.eye(5)[nearest.reshape(-1)]
    totals = 0.9 * codes * counts[:, None] + 0.1 * chosen.T @ X.reshape(-1, 3)
    counts = 0.9 * counts + 0.1 * chosen.sum(0)
    smoothed = (counts + 1e-5) / (counts.sum() + 5e-5) * counts.sum()
    np.testing.assert_allclose(layer.counts, counts, rtol=1e-5)
    np.testing.assert_allclose(layer.codes, totals / smoothed[:, None], rtol=1e-4, atol=1e-6)


def test_the_gradient_passes_straight_through():
    layer = L.VectorQuantizer(5)
    x = tf.constant(X)
    layer(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x) * X)
    np.testing.assert_allclose(tape.gradient(loss, x), X)


def test_replicas_move_the_codes_as_one():
    strategy = two_replica_strategy()
    alone = L.VectorQuantizer(5)
    alone(X)
    with strategy.scope():
        layer = L.VectorQuantizer(5)
        layer(X)
        layer.set_weights(alone.get_weights())
        shares = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant((X[:2], X[2:])[context.replica_id_in_sync_group])
        )
        tf.function(lambda: strategy.run(lambda x: layer(x, training=True), (shares,)))()
    alone(X, training=True)
    for a, b in zip(layer.weights, alone.weights, strict=True):
        for copy in strategy.experimental_local_results(a):
            np.testing.assert_allclose(copy, b, rtol=1e-5, atol=1e-6)


def test_what_is_refused():
    with pytest.raises(ValueError, match="num_codes must be a positive integer"):
        L.VectorQuantizer(0)
    with pytest.raises(ValueError, match="decay must be in"):
        L.VectorQuantizer(3, 1.0)
