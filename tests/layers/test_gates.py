"""A layer and its cell have the same weights, which start alike."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

X = np.random.default_rng(0).normal(size=[3, 5, 2]).astype(np.float32)


@pytest.mark.parametrize("name, settings", [
    ("SimpleRNN", {"bias_initializer": "ones", "kernel_regularizer": "l2"}),
    ("LSTM", {"recurrent_regularizer": "l1"}),
    ("LSTM", {"unit_forget_bias": False}),
    ("GRU", {"bias_regularizer": "l2", "bias_initializer": "ones"}),
    ("GRU", {"reset_after": False, "use_bias": False}),
])  # fmt: skip
def test_a_cell_has_the_weights_of_its_layer(name, settings):
    layer, cell = getattr(L, name)(4, **settings), getattr(L, f"{name}Cell")(4, **settings)
    layer(X)
    cell(X[:, 0], cell.get_initial_state(3))
    for one, other in zip(layer.weights, cell.weights, strict=True):
        assert one.shape == other.shape
        if "bias" in one.name:
            np.testing.assert_array_equal(one, other)
    cell.set_weights(layer.get_weights())
    np.testing.assert_array_equal(sum(layer.losses, 0.0), sum(cell.losses, 0.0))
    assert len(layer.losses) == sum("regularizer" in key for key in settings)
