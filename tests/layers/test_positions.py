"""Position encodings against their formulas in NumPy, float64, and what makes them useful."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers.positions import rotate, sinusoids

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [6, 5])
def test_sinusoids_are_those_of_the_paper(size):
    places = np.arange(4)[:, None] + 2
    i = np.arange(size)[None, :]
    angles = places / 10000.0 ** (2 * (i // 2) / size)
    want = np.where(i % 2 == 0, np.sin(angles), np.cos(angles))
    np.testing.assert_allclose(sinusoids(tf.range(2, 6), size), want, atol=1e-6)
    x = RNG.normal(size=[2, 4, size]).astype(np.float32)
    np.testing.assert_allclose(L.SinusoidalEncoding()(x, 2), x + want, atol=1e-6)


def test_rotation_is_a_product_of_complex_numbers():
    x = RNG.normal(size=[2, 5, 3, 8])
    angles = np.arange(5)[:, None] / 100.0 ** (2 * np.arange(4)[None, :] / 8)
    turned = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * angles)[:, None, :]
    want = np.concatenate([turned.real, turned.imag], -1)
    got = L.RotaryEncoding(100.0)(x.astype(np.float32))
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_a_product_of_rotated_vectors_depends_on_their_distance_alone():
    q, k = (tf.constant(RNG.normal(size=[1, 1, 1, 8]), tf.float32) for _ in range(2))

    def product(i, j):
        return float(tf.reduce_sum(rotate(q, [i]) * rotate(k, [j])))

    assert product(7, 4) == pytest.approx(product(103, 100), abs=1e-4)
    assert product(7, 4) != pytest.approx(product(7, 5), abs=1e-2)


def test_odd_heads_are_refused():
    with pytest.raises(ValueError, match="even size, got 5"):
        rotate(tf.zeros([1, 2, 1, 5]), tf.range(2))


def test_learnt_positions():
    layer = L.PositionEmbedding(4)
    x = np.zeros([1, 3, 2], np.float32)
    layer(x)
    layer.set_weights([np.arange(8.0).reshape(4, 2)])
    np.testing.assert_array_equal(layer(x)[0], [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(layer(x, 1)[0], [[2, 3], [4, 5], [6, 7]])
    with pytest.raises(ValueError, match="has 4 places, got a sequence of 5"):
        layer(np.zeros([1, 5, 2], np.float32))
