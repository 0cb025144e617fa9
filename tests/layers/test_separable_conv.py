"""A separable convolution is a depthwise one and a convolution with windows of one."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

X = np.random.default_rng(0).normal(size=[2, 6, 5, 3]).astype(np.float32)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_it_is_two_convolutions(padding):
    for x, spatial in ((X, 2), (X[:, :, 0], 1)):
        layer = getattr(L, f"SeparableConv{spatial}D")(4, 3, depth_multiplier=2, padding=padding)
        y = layer(x)
        depth, point, bias = layer.get_weights()
        first = getattr(L, f"DepthwiseConv{spatial}D")(
            3, depth_multiplier=2, padding=padding, use_bias=False
        )
        second = getattr(L, f"Conv{spatial}D")(4, 1)
        second(first(x))
        first.set_weights([depth])
        second.set_weights([point, bias])
        np.testing.assert_allclose(y, second(first(x)), atol=1e-5)


@pytest.mark.parametrize("make, words", [
    (lambda: L.SeparableConv2D(3, 3, strides=(1, 2)), "strides must be the same"),
    (lambda: L.SeparableConv1D(3.5, 3), "filters must be a positive integer"),
    (lambda: L.SeparableConv1D(3, 3, padding="causal"), "padding must be one of"),
    (lambda: L.SeparableConv2D(3, 6)(X), "a larger input"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
