"""Squeeze and excitation against the paper's formula in float64."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

X = np.random.default_rng(0).normal(size=[2, 4, 5, 6]).astype(np.float32)


def test_the_papers_formula(run):
    """x * sigmoid(W2 relu(W1 mean(x))): Hu et al. 2017, equations 2 to 4."""
    layer = L.SqueezeExcite(2)
    layer(X)
    w1, b1, w2, b2 = map(np.float64, layer.get_weights())
    assert w1.shape == (6, 3) and w2.shape == (3, 6)
    means = np.float64(X).mean((1, 2))
    gates = 1 / (1 + np.exp(-(np.maximum(means @ w1 + b1, 0) @ w2 + b2)))
    np.testing.assert_allclose(run(layer, X), X * gates[:, None, None], rtol=1e-5, atol=1e-6)
    series = L.SqueezeExcite(100)
    assert series(X[:, 0]).shape == X[:, 0].shape and series.squeeze_kernel.shape == (6, 1)


@pytest.mark.parametrize("make, words", [
    (lambda: L.SqueezeExcite(0), "ratio must be a positive integer"),
    (lambda: L.SqueezeExcite()(X[:, 0, 0]), "takes inputs of rank 3 or more"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
