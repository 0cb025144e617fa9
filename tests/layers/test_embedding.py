"""Embedding: indices of any whole-number dtype, never through 16 bits, sparse gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32"])
def test_indices_of_any_dtype(dtype):
    layer = L.Embedding(300, 4)
    x = np.array([[0, 7], [255, 1]]).astype(dtype)
    layer.compute_dtype = "bfloat16"
    want = tf.cast(tf.gather(layer(x) is not None and layer.embeddings, x.astype(int)), tf.bfloat16)
    np.testing.assert_array_equal(layer(x), want)


def test_sixteen_bit_indices_are_refused():
    with pytest.raises(TypeError, match="feed integers"):
        L.Embedding(300, 4)(tf.constant([1.0], tf.bfloat16))


def test_the_container_does_not_round_indices():
    model = L.Sequential([L.Embedding(300, 4)])
    model.compute_dtype = "bfloat16"
    x = np.array([[257.0]], np.float32)
    np.testing.assert_array_equal(model(x)[0, 0], model.layers[0].embeddings[257])


def test_the_gradient_is_sparse():
    layer = L.Embedding(5, 2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer([[1, 1, 3]]))
    gradient = tape.gradient(loss, layer.embeddings)
    assert isinstance(gradient, tf.IndexedSlices)
    want = np.zeros([5, 2])
    want[1], want[3] = 2, 1
    np.testing.assert_array_equal(tf.convert_to_tensor(gradient), want)
