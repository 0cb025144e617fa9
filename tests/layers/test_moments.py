"""What normalisations share, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from layers.moments import normalize, pooled_moments, scale_and_shift

X = np.random.default_rng(0).normal(30.0, 2.0, [4, 5, 3])


def test_pooled_moments(run):
    mask = (np.random.default_rng(1).random([4, 5, 1]) > 0.4).astype(np.float64)
    mean, variance, count = run(lambda x: pooled_moments(x, [0, 1]), X)
    np.testing.assert_allclose(mean, X.mean((0, 1)), rtol=1e-12)
    np.testing.assert_allclose(variance, X.var((0, 1)), rtol=1e-12)
    assert float(count) == 20
    mean, variance, count = run(lambda x, mask: pooled_moments(x, [0, 1], mask), X, mask)
    kept = X[mask[..., 0] > 0]
    np.testing.assert_allclose(mean, kept.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, kept.var(0), rtol=1e-12)
    assert float(count) == len(kept)


def test_two_equal_shares_are_one(run):
    """`add_up` that doubles is a second replica with the same share."""
    once = run(lambda x: pooled_moments(x, [0, 2]), X)
    twice = run(lambda x: pooled_moments(x, [0, 2], None, lambda sums: 2 * sums), X)
    np.testing.assert_allclose(once[:2], twice[:2], rtol=1e-12)
    assert float(twice[2]) == 2 * float(once[2])


def test_no_values_have_moments_of_zero(run):
    for got in run(lambda x: pooled_moments(x, [0, 1]), X[:0])[:2]:
        np.testing.assert_array_equal(got, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("axes", [[1], [2], [1, 2]])
def test_scale_and_shift(run, axes):
    shape = [X.shape[i] if i in axes else 1 for i in range(3)]
    gamma, beta = np.random.default_rng(1).normal(size=[2, *(X.shape[i] for i in axes)])
    got = run(lambda x, g, b: scale_and_shift(x, g, b, axes), X, gamma, beta)
    np.testing.assert_allclose(got, X * gamma.reshape(shape) + beta.reshape(shape), rtol=1e-12)


def test_normalize(run):
    mean, variance, gamma, beta = np.abs(np.random.default_rng(2).normal(size=[4, 3]))
    want = (X - mean) / np.sqrt(variance + 0.1)
    got = run(lambda *parts: normalize(*parts, 0.1), X, mean, variance, gamma, beta)
    np.testing.assert_allclose(got, want * gamma + beta, rtol=1e-12)
    bare = run(lambda x, m, v: normalize(x, m, v, None, None, 0.1), X, mean, variance)
    np.testing.assert_allclose(bare, want, rtol=1e-12)
