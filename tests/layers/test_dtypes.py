"""The dtype of statistics and softmax."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers.dtypes import at_least_float32


@pytest.mark.parametrize("dtype, wide", [
    (tf.bfloat16, tf.float32), (tf.float16, tf.float32), (tf.float32, tf.float32),
    (tf.float64, tf.float64), (tf.int8, tf.int8),
], ids=repr)  # fmt: skip
def test_only_16_bit_floats_are_widened(run, dtype, wide):
    assert run(at_least_float32, tf.ones([2], dtype)).dtype == wide


@pytest.mark.parametrize("layer", [
    L.BatchNormalization(), L.LayerNormalization(), L.RMSNormalization(),
    L.GroupNormalization(2), L.Softmax(), L.GlobalAveragePooling1D(),
], ids=repr)  # fmt: skip
def test_float64_is_float64_all_the_way(layer):
    """A change of 1e-12 of the input is seen in the output: nothing passed through float32."""
    layer.compute_dtype = "float64"
    x = np.random.default_rng(0).normal(size=[3, 5, 4])
    y = layer(x, training=True)
    assert y.dtype == tf.float64
    moved = np.asarray(layer(x + 1e-12 * (x == x[0, 0, 0]), training=True))
    assert 1e-15 < np.abs(moved - y).max() < 1e-10
