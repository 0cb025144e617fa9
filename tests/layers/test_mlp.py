"""An MLP is its dense layers."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L


def test_it_is_its_layers(run):
    x = np.random.default_rng(0).normal(size=[3, 4]).astype(np.float32)
    model = L.MLP([5, 6, 2], "tanh", output_activation="sigmoid", dropout=0.5)
    assert [type(layer).__name__ for layer in model] == ["Dense", "Dropout"] * 2 + ["Dense"]
    model(x)
    y = np.float64(x)
    weights = [np.float64(w) for w in model.get_weights()]
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        z = y @ kernel + bias
        y = np.tanh(z)
    np.testing.assert_allclose(run(model, x), 1 / (1 + np.exp(-z)), rtol=1e-5)


def test_what_is_refused():
    for wrong in (3, []):
        with pytest.raises(ValueError, match="units must list the size of each layer"):
            L.MLP(wrong)
    with pytest.raises(ValueError, match="rate must be in"):
        L.MLP([3, 2], dropout=1.0)
