"""The LSTM's forget bias; outputs and gradients of both are held to Keras in test_recurrent."""

from __future__ import annotations

import numpy as np

import layers as L

X = np.random.default_rng(0).normal(size=[3, 5, 2]).astype(np.float32)


def test_the_forget_bias_starts_at_one():
    layer = L.LSTM(2)
    layer(X)
    assert layer.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    layer = L.LSTM(2, unit_forget_bias=False)
    layer(X)
    assert not layer.bias.numpy().any()


def test_the_bias_of_a_gru_is_twofold_where_it_resets_after_the_product():
    for reset_after, shape in ((True, (2, 6)), (False, (6,))):
        layer = L.GRU(2, reset_after=reset_after)
        layer(X)
        assert tuple(layer.bias.shape) == shape
