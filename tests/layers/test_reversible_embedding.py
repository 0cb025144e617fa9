"""ReversibleEmbedding against Keras, both ways."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import layers as L

TOKENS = np.array([[1, 4, 0], [2, 2, 6]])
VECTORS = np.random.default_rng(0).normal(size=[2, 3, 5]).astype(np.float32)


@pytest.mark.parametrize("settings", [{}, {"tie_weights": False}, {"logit_soft_cap": 0.1}])
def test_both_ways_are_keras(settings):
    ours = L.ReversibleEmbedding(7, 5, **settings)
    theirs = keras.layers.ReversibleEmbedding(7, 5, **settings)
    theirs(TOKENS)
    ours(TOKENS)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_array_equal(ours(TOKENS), theirs(TOKENS))
    got, want = ours(VECTORS, reverse=True), theirs(VECTORS, reverse=True)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


def test_the_way_back_is_open_to_16_bits_and_indices_are_not():
    layer = L.ReversibleEmbedding(7, 5)
    layer.compute_dtype = "bfloat16"
    vectors = layer(TOKENS)
    assert layer(vectors, reverse=True).dtype.name == "bfloat16"
    with pytest.raises(TypeError, match="takes integer indices"):
        layer(vectors)
