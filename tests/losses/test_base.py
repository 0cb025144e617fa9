"""Reductions, weights, masks and shapes, whatever the loss."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses
from losses.base import match_rank, snake_case


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum"])
@pytest.mark.parametrize("jit", [False, True])
def test_an_empty_batch_gives_zero(reduction, jit):
    loss = losses.MeanSquaredError(reduction=reduction)
    run = tf.function(loss.__call__, jit_compile=jit)
    assert float(run(tf.zeros([0, 3]), tf.zeros([0, 3]))) == 0.0


def test_weights_of_zero_give_zero():
    for reduction in ("mean_with_sample_weight", "mean", "sum"):
        loss = losses.MeanSquaredError(reduction=reduction)
        assert float(loss([[1.0]], [[3.0]], sample_weight=[0.0])) == 0.0


@pytest.mark.parametrize("shape", [[], [1], [4], [4, 1], [4, 3], [1, 3], [4, 3, 1]])
def test_weights_broadcast_to_the_values(shape, rng):
    y_true, y_pred = rng.normal(size=(2, 4, 3, 2))
    weights = rng.uniform(size=shape)
    full = weights[..., 0] if shape == [4, 3, 1] else weights
    full = full[:, np.newaxis] if shape == [4] else full
    wanted = ((y_true - y_pred) ** 2).mean(-1) * full
    loss = losses.MeanSquaredError(reduction="none")
    np.testing.assert_allclose(loss(y_true, y_pred, weights), wanted, rtol=2e-6)


@pytest.mark.parametrize("shape", [[3], [4, 4], [4, 3, 2]])
def test_other_weights_are_refused(shape):
    with pytest.raises(ValueError, match="one weight per value"):
        losses.MeanSquaredError()(tf.ones([4, 3, 2]), tf.zeros([4, 3, 2]), tf.ones(shape))


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_keras_mask_counts_as_in_keras(reduction, weighted, rng):
    y_true, y_pred = map(tf.constant, np.float32(rng.normal(size=(2, 4, 3, 2))))
    y_pred._keras_mask = tf.constant(rng.uniform(size=(4, 3)) < 0.5)
    weights = np.float32(rng.uniform(size=(4, 3))) if weighted else None
    np.testing.assert_allclose(
        losses.MeanSquaredError(reduction=reduction)(y_true, y_pred, weights),
        keras.losses.MeanSquaredError(reduction=reduction)(y_true, y_pred, weights),
        rtol=1e-6,
    )


def test_shapes_unknown_until_run():
    spec = tf.TensorSpec(None, tf.float32)
    loss = losses.MeanSquaredError()
    run = tf.function(loss.__call__, input_signature=[spec] * 3)
    value = run(tf.ones([2, 3]), tf.zeros([2, 3]), tf.constant([1.0, 3.0]))
    assert float(value) == 2.0


def test_a_subclass_needs_only_call():
    class Fourth(losses.Loss):
        def call(self, y_true, y_pred):
            return tf.reduce_mean((y_true - y_pred) ** 4, -1)

    loss = Fourth()
    assert loss.name == "fourth"
    assert float(loss(tf.zeros([2, 1]), tf.constant([[1.0], [2.0]]))) == 8.5
    with pytest.raises(NotImplementedError, match="Loss must define call"):
        losses.Loss().call(1, 2)


def test_unknown_reduction():
    with pytest.raises(ValueError, match="reduction='average' is unknown"):
        losses.MeanSquaredError(reduction="average")


def test_match_rank_leaves_what_it_cannot_match():
    for a, b in ([4, 2], [4]), ([4], [4, 2]), ([2, 3, 1, 1], [2, 3]), ([4], [4]):
        out = match_rank(tf.zeros(a), tf.zeros(b))
        assert [t.shape.as_list() for t in out] == [a, b]


def test_snake_case():
    names = {
        "KLDivergence": "kl_divergence",
        "MeanSquaredError": "mean_squared_error",
        "mse": "mse",
    }
    assert {name: snake_case(name) for name in names} == names
