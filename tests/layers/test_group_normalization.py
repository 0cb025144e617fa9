"""Groups of channels of one example, against the papers' formulas in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal(3.0, 2.0, [2, 5, 6])


@pytest.mark.parametrize("groups", [1, 2, 3, -1])
def test_groups(run, groups):
    n = 6 if groups == -1 else groups
    parts = X.reshape(2, 5, n, -1)
    want = (parts - parts.mean((1, 3), keepdims=True)) / np.sqrt(
        parts.var((1, 3), keepdims=True) + 1e-3
    )
    layer = L.GroupNormalization(groups)
    layer(np.float32(X))
    np.testing.assert_allclose(run(layer, np.float32(X)), want.reshape(X.shape), atol=1e-5)


def test_an_instance_is_a_channel_of_an_example(run):
    want = (X - X.mean(1, keepdims=True)) / np.sqrt(X.var(1, keepdims=True) + 0.1)
    layer = L.InstanceNormalization(epsilon=0.1, center=False, scale=False)
    layer(np.float32(X))
    np.testing.assert_allclose(run(layer, np.float32(X)), want, atol=1e-5)
    assert layer.weights == [] and repr(layer).startswith("InstanceNormalization(epsilon=0.1")


def test_no_example_sees_another(run):
    for layer in (L.GroupNormalization(2), L.InstanceNormalization()):
        layer(np.float32(X))
        np.testing.assert_allclose(
            run(layer, np.float32(X[:1])), run(layer, np.float32(X))[:1], atol=1e-6
        )


@pytest.mark.parametrize("make, words", [
    (lambda: L.GroupNormalization(4)(tf.zeros([2, 6])), "divisible by groups"),
    (lambda: L.GroupNormalization(0), "groups must be a positive integer"),
    (lambda: L.InstanceNormalization(0)(tf.zeros([2, 6])), "0 is the batch"),
    (lambda: L.InstanceNormalization(epsilon=0), "epsilon must be positive"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
