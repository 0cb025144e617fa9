"""Batch statistics: their definition in float64, replicas, masks, frozen layers, no rows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers.probes import two_replica_strategy


@pytest.mark.parametrize("jit", [False, True])
def test_batch_statistics_and_their_moving_averages(jit):
    x = np.random.default_rng(0).normal(3.0, 2.0, [16, 5, 3])
    layer = L.BatchNormalization(momentum=0.9)
    layer(x.astype(np.float32))
    step = tf.function(lambda x: layer(x, training=True), jit_compile=jit)
    mean, variance = x.mean((0, 1)), x.var((0, 1))  # biased
    np.testing.assert_allclose(
        step(x.astype(np.float32)), (x - mean) / np.sqrt(variance + 1e-3), atol=1e-5
    )
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-5)


def test_frozen_means_inference():
    x = np.random.default_rng(0).normal(3.0, 2.0, [16, 3]).astype(np.float32)
    layer = L.BatchNormalization()
    layer(x)
    model = L.Sequential([layer])
    model.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(model(x, training=True), model(x))
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def replicas(function, shares):
    """What `function` gives on each of two replicas, each with a share of its own."""
    strategy = tf.distribute.get_strategy()
    inputs = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(shares[context.replica_id_in_sync_group])
    )
    out = tf.function(lambda x: strategy.run(function, (x,)), autograph=False)(inputs)
    return [strategy.experimental_local_results(part) for part in tf.nest.flatten(out)]


@pytest.mark.parametrize("split", [4, 1, 0])
def test_synchronized_replicas_are_one_batch(split):
    """Outputs, gradients and moving statistics, also of unequal shares, one of them empty."""
    x = np.random.default_rng(0).normal(50.0, 2.0, [8, 3]).astype(np.float32)
    direction = np.random.default_rng(1).normal(size=[8, 3]).astype(np.float32)

    def run(layer, both):
        x, direction = tf.unstack(both)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * direction)
        return y, *tape.gradient(loss, [x, layer.gamma, layer.beta])

    alone = L.BatchNormalization()
    alone(x)
    y, dx, dgamma, dbeta = run(alone, tf.stack([x, direction]))
    strategy = two_replica_strategy()
    with strategy.scope():
        layer = L.BatchNormalization(synchronized=True)
        layer(x)
        both = np.stack([x, direction])
        got = replicas(lambda part: run(layer, part), [both[:, :split], both[:, split:]])
    for ours, want in ((got[0], y), (got[1], dx)):
        np.testing.assert_allclose(tf.concat(ours, 0), want, atol=2e-5)
    for ours, want in ((got[2], dgamma), (got[3], dbeta)):
        np.testing.assert_allclose(tf.add_n(ours), want, rtol=2e-4, atol=2e-5)
    for name in ("moving_mean", "moving_variance"):
        for copy in strategy.experimental_local_results(getattr(layer, name)):
            np.testing.assert_allclose(copy, getattr(alone, name), rtol=1e-5)


def test_replicas_keep_their_own_statistics_unless_synchronized():
    x = np.float32([[0.0, 1.0], [2.0, 5.0]])
    strategy = two_replica_strategy()
    with strategy.scope():
        layer = L.BatchNormalization()
        layer(x)
        replicas(lambda part: layer(part, training=True), [x[:1], x[1:]])
    copies = strategy.experimental_local_results(layer.moving_mean)
    np.testing.assert_allclose(np.stack(copies), 0.01 * x, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.01 * x.mean(0), rtol=1e-5)


def test_no_rows_leave_the_statistics_alone():
    layer = L.BatchNormalization()
    layer(np.ones([2, 3], np.float32), training=True)
    before = layer.get_weights()
    assert layer(np.zeros([0, 3], np.float32), training=True).shape == (0, 3)
    nothing = layer(np.ones([2, 3], np.float32), training=True, mask=[False, False])
    assert np.isfinite(nothing).all()
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_masked_positions_do_not_count():
    """Against the batch without them, whatever stands there; Keras's mask does the same."""
    x = np.random.default_rng(0).normal(3.0, 2.0, [4, 5, 3]).astype(np.float32)
    mask = np.random.default_rng(1).random([4, 5]) > 0.4
    x[~mask] = np.inf
    ours, kept = L.BatchNormalization(), L.BatchNormalization()
    theirs = keras.layers.BatchNormalization()
    y = np.asarray(ours(x, training=True, mask=mask))
    np.testing.assert_allclose(y[mask], kept(x[mask], training=True), atol=1e-5)
    theirs(np.where(mask[..., None], x, 0.0), training=True, mask=mask)
    for a, b, c in zip(ours.get_weights(), kept.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
        np.testing.assert_allclose(a, c, rtol=1e-5)
    with pytest.raises(ValueError, match="without its channels"):
        ours(x, training=True, mask=mask[0])


@pytest.mark.parametrize("make, words", [
    (lambda: L.BatchNormalization(momentum=2.0), "momentum must be in"),
    (lambda: L.BatchNormalization(epsilon=-1), "epsilon must be positive"),
    (lambda: L.BatchNormalization(0)(tf.zeros([2, 3])), "0 is the batch"),
    (lambda: L.BatchNormalization(3)(tf.zeros([2, 3])), "axis of BatchNormalization"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
