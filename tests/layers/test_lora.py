"""LoRA: the paper's formula in float64, frozen weights, merging."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

X = np.random.default_rng(0).normal(size=[4, 6]).astype(np.float32)


def test_the_papers_formula_and_merging(run):
    plain = L.Dense(5, "tanh")
    before = plain(X)
    layer = L.LoRA(plain, 2, alpha=3.0)
    np.testing.assert_allclose(layer(X), before, atol=1e-6)  # B starts as zeros
    assert [v.shape for v in layer.trainable_variables] == [(6, 2), (2, 5)]
    layer.lora_b.assign(np.random.default_rng(1).normal(size=[2, 5]))
    a, b, kernel, bias = map(np.float64, layer.get_weights())
    want = np.tanh(X @ (kernel + 1.5 * a @ b) + bias)
    np.testing.assert_allclose(run(layer, X), want, rtol=1e-5, atol=1e-5)
    merged = layer.merge()
    assert merged is plain
    np.testing.assert_allclose(merged(X), want, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer(X), want, rtol=1e-5, atol=1e-5)


def test_what_is_refused():
    with pytest.raises(TypeError, match="layer must be a Dense"):
        L.LoRA(L.Flatten(), 2)
    with pytest.raises(ValueError, match="rank must be a positive integer"):
        L.LoRA(L.Dense(2), 0)
