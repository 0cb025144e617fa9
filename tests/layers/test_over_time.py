"""What layers that run along time refuse, and where their states are kept."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

X = np.random.default_rng(0).normal(size=[3, 5, 2]).astype(np.float32)
KINDS = {"GRU": lambda **settings: L.GRU(4, **settings),
         "RNN": lambda **settings: L.RNN([L.GRUCell(4), L.LSTMCell(3)], **settings)}  # fmt: skip


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_stateful_layer_needs_the_size_of_its_batches(make):
    with pytest.raises(ValueError, match="batch size when it is built"):
        make(stateful=True).build([None, 5, 2])


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_mask_of_another_shape_is_refused(make):
    with pytest.raises(ValueError, match=r"mask of .* must have shape \[batch, time\]"):
        make()(X, mask=np.ones([3, 4], bool))


@pytest.mark.parametrize("kind, shapes", [
    ("GRU", [[3, 4]]), ("RNN", [[3, 4], [3, 3], [3, 3]])
])  # fmt: skip
def test_only_a_stateful_layer_keeps_its_states(kind, shapes):
    make = KINDS[kind]
    layer = make(stateful=True, return_state=True)
    _, *states = layer(X)
    kept = [v for v in layer.non_trainable_variables if "state" in v.name]
    assert [v.shape.as_list() for v in kept] == shapes
    flat = [state for given in states for state in (given if isinstance(given, list) else [given])]
    for variable, state in zip(kept, flat, strict=True):
        np.testing.assert_array_equal(variable, state)
    layer = make()
    layer(X)
    assert layer.non_trainable_variables == []
