"""Repetition, interpolation against tf.image, and channels laid out in space."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L

X = np.random.default_rng(0).normal(size=[2, 3, 4, 8]).astype(np.float32)


def test_repetition(run):
    want = X.repeat(2, 1).repeat(3, 2)
    np.testing.assert_array_equal(run(L.UpSampling2D((2, 3)), X), want)
    np.testing.assert_array_equal(run(L.UpSampling1D(2), X[:, :, 0]), want[:, :, 0])
    np.testing.assert_array_equal(L.UpSampling3D((2, 3, 1))(X[..., None]), want[..., None])


@pytest.mark.parametrize("size", [(2, 2), (3, 1), (1, 4)])
def test_bilinear_is_that_of_images(run, size):
    want = tf.image.resize(X, [3 * size[0], 4 * size[1]], "bilinear")
    got = run(L.UpSampling2D(size, interpolation="bilinear"), X)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_pixel_shuffle_lays_channels_out(run):
    """Channel (i * r + j) * c + k is channel k of row i, column j of the block: Shi et al. 2016."""
    y = np.asarray(run(L.PixelShuffle(2), X))
    for i in range(2):
        for j in range(2):
            first = (2 * i + j) * 2
            np.testing.assert_array_equal(y[:, i::2, j::2], X[..., first : first + 2])
    np.testing.assert_array_equal(L.PixelShuffle(1)(X), X)


@pytest.mark.parametrize("make, words", [
    (lambda: L.UpSampling2D(0), "size must be a positive integer"),
    (lambda: L.UpSampling2D(2, interpolation="cubic"), "interpolation must be one of"),
    (lambda: L.PixelShuffle(3)(X), "lays out upscale_factor\\*\\*2 = 9 channels"),
    (lambda: L.UpSampling1D(2)(X), "takes inputs of rank 3, got rank 4"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
