"""Normalisation of one example: hard inputs against float64, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L


@pytest.mark.parametrize("layer", [
    L.LayerNormalization(), L.GroupNormalization(2), L.BatchNormalization(),
], ids=repr)  # fmt: skip
def test_a_far_mean_does_not_cancel(layer):
    x = np.random.default_rng(0).normal(1000.0, 1.0, [64, 8])
    axes = {"LayerNormalization": 1, "BatchNormalization": 0}.get(type(layer).__name__)
    parts = x if axes is not None else x.reshape(64, 2, 4)
    axes = 2 if axes is None else axes
    want = (parts - parts.mean(axes, keepdims=True)) / np.sqrt(
        parts.var(axes, keepdims=True) + 1e-3
    )
    got = layer(x.astype(np.float32), training=True)
    np.testing.assert_allclose(got, want.reshape(x.shape), atol=2e-3)


def test_sixteen_bit_inputs_have_float32_statistics():
    x = tf.cast(np.random.default_rng(0).normal(100.0, 1.0, [32, 64]), tf.bfloat16)
    layer = L.LayerNormalization()
    layer.compute_dtype = "bfloat16"
    wide = np.asarray(tf.cast(x, tf.float64))
    want = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(tf.cast(layer(x), tf.float64), want, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("make, words", [
    (lambda: L.LayerNormalization(epsilon=0), "epsilon must be positive"),
    (lambda: L.LayerNormalization(0)(tf.zeros([2, 3])), "0 is the batch"),
    (lambda: L.LayerNormalization(3)(tf.zeros([2, 3])), "axis of LayerNormalization"),
    (lambda: L.GroupNormalization(2)(tf.zeros([2, 3])), "divisible by groups"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
