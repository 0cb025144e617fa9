"""Depthwise convolutions: each channel on its own; what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

X = np.random.default_rng(0).normal(size=[2, 6, 5, 3]).astype(np.float32)


@pytest.mark.parametrize("strides, dilation", [(1, 1), (2, 1), (1, 2)])
def test_each_channel_is_convolved_alone(strides, dilation):
    for x, spatial in ((X, 2), (X[:, :, 0], 1)):
        arguments = {"strides": strides, "dilation_rate": dilation, "padding": "same"}
        layer = getattr(L, f"DepthwiseConv{spatial}D")(3, depth_multiplier=2, **arguments)
        y = layer(x)
        kernel = layer.get_weights()[0]
        for c in range(3):
            alone = getattr(L, f"Conv{spatial}D")(2, 3, use_bias=False, **arguments)
            alone(x[..., :1])
            alone.set_weights([kernel[..., c : c + 1, :]])
            got, want = y[..., 2 * c : 2 * c + 2], alone(x[..., c : c + 1])
            np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("make, words", [
    (lambda: L.DepthwiseConv2D(3, strides=(1, 2)), "strides must be the same"),
    (lambda: L.DepthwiseConv1D(3, depth_multiplier=0), "depth_multiplier must be a positive"),
    (lambda: L.DepthwiseConv1D(3, strides=2, dilation_rate=2), "only one of strides"),
    (lambda: L.DepthwiseConv1D(7)(X[:, :, 0]), "a window that spans 7 over an axis of size 6"),
    (lambda: L.DepthwiseConv2D(3)(X[0]), "takes inputs of rank 4, got rank 3"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
