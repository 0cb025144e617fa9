"""Patches are a convolution whose windows do not overlap."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

X = np.random.default_rng(0).normal(size=[2, 4, 6, 3]).astype(np.float32)


def test_it_is_a_strided_convolution(run):
    layer, conv = L.PatchEmbedding(5, (2, 3)), L.Conv2D(5, (2, 3), strides=(2, 3))
    layer(X), conv(X)
    conv.set_weights(layer.get_weights())
    np.testing.assert_allclose(run(layer, X), np.reshape(conv(X), [2, 4, 5]), atol=1e-5)


@pytest.mark.parametrize("make, words", [
    (lambda: L.PatchEmbedding(5, 4)(X), "patches of 4 x 4 out of images of 4 x 6"),
    (lambda: L.PatchEmbedding(0, 4), "units must be a positive integer"),
    (lambda: L.PatchEmbedding(5, 2)(X[0]), "takes inputs of rank 4, got rank 3"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
