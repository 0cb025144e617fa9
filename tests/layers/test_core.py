"""Dense and the layers that rearrange: shapes, one product, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L


def test_dense_on_any_rank_is_one_matrix_product():
    layer = L.Dense(3)
    x = np.random.default_rng(0).normal(size=[2, 3, 4, 5])
    kernel, bias = (np.asarray(w, np.float64) for w in (layer(x), layer.get_weights())[1])
    np.testing.assert_allclose(layer(x), x @ kernel + bias, atol=1e-5)
    spec = tf.TensorSpec([None, None, 4, 5])
    graph = tf.function(layer, input_signature=[spec]).get_concrete_function()
    assert [op.type for op in graph.graph.get_operations()].count("MatMul") == 1
    assert graph.output_shapes.as_list() == [None, None, 4, 3]


def test_integer_images_are_cast():
    images = np.arange(12, dtype=np.uint8).reshape(2, 6)
    assert L.Dense(2)(images).dtype == tf.float32
    assert L.Flatten()(images).dtype == tf.uint8
    np.testing.assert_allclose(L.Rescaling(1 / 255)(images), images / 255.0, rtol=1e-6)


def test_flatten_with_unknown_sizes():
    traced = tf.function(L.Flatten(), input_signature=[tf.TensorSpec([None, None, 3])])
    assert traced(tf.zeros([2, 4, 3])).shape == (2, 12)
    assert L.Flatten()(tf.zeros([3])).shape == (3, 1)
    assert L.Flatten()(tf.zeros([0, 2, 3])).shape == (0, 6)


def test_reshape_with_unknown_sizes():
    traced = tf.function(L.Reshape((-1, 2)), input_signature=[tf.TensorSpec([None, None])])
    assert traced(tf.zeros([2, 6])).shape == (2, 3, 2)


@pytest.mark.parametrize("make, error, words", [
    (lambda: L.Dense(0), ValueError, "units must be a positive integer, got 0"),
    (lambda: L.Dense(2.5), ValueError, "units"),
    (lambda: L.Dense(2, "rellu"), ValueError, "unknown activation"),
    (lambda: L.Reshape((-1, -1)), ValueError, "target_shape"),
    (lambda: L.Reshape((4,))(tf.zeros([2, 3])), ValueError, "must multiply to 3"),
    (lambda: L.Permute((1, 3)), ValueError, "dims"),
    (lambda: L.Lambda(3), TypeError, "function must be callable"),
    (lambda: L.Lambda(L.Dense(2)), TypeError, "put it in a Sequential"),
])  # fmt: skip
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_lambda_passes_training_on_where_it_is_taken():
    layer = L.Lambda(lambda x, training: x + float(training))
    assert layer(tf.zeros(1), training=True).numpy() == [1.0]
