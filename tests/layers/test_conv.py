"""Convolutions: causality, groups as separate convolutions, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L


def test_causal_sees_no_future():
    layer = L.Conv1D(2, 3, padding="causal", dilation_rate=2)
    x = np.random.default_rng(0).normal(size=[1, 9, 3]).astype(np.float32)
    later = x.copy()
    later[:, 5:] += 1.0
    np.testing.assert_array_equal(layer(x)[:, :5], layer(later)[:, :5])
    assert not np.allclose(layer(x)[:, 5:], layer(later)[:, 5:])


def test_groups_are_separate_convolutions():
    x = np.random.default_rng(0).normal(size=[2, 5, 5, 4]).astype(np.float32)
    grouped = L.Conv2D(6, 3, groups=2)
    grouped(x)
    kernel, bias = grouped.get_weights()
    for g in range(2):
        part = L.Conv2D(3, 3)
        part(x[..., :2])
        part.set_weights([kernel[..., 3 * g : 3 * g + 3], bias[3 * g : 3 * g + 3]])
        want = part(x[..., 2 * g : 2 * g + 2])
        np.testing.assert_allclose(grouped(x)[..., 3 * g : 3 * g + 3], want, atol=1e-5)


@pytest.mark.parametrize("make, words", [
    (lambda: L.Conv2D(3, (2, 2, 2)), "kernel_size must be one positive integer or 2"),
    (lambda: L.Conv2D(3, 0), "kernel_size must be a positive integer"),
    (lambda: L.Conv2D(3, 3, padding="causal"), "padding must be one of"),
    (lambda: L.Conv2D(3, 3, strides=2, dilation_rate=2), "only one of strides and dilation_rate"),
    (lambda: L.Conv2D(3, 3, groups=2), "filters must be divisible by groups"),
    (lambda: L.Conv2D(4, 3, groups=2)(tf.zeros([1, 5, 5, 3])), "divisible by groups"),
    (lambda: L.Conv2D(4, 6)(tf.zeros([1, 5, 5, 3])), "a larger input"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
