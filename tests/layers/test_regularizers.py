"""Regularisers against Keras's, and the one name that differs."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from layers import regularizers

W = np.random.default_rng(0).normal(size=[4, 3]).astype(np.float32)


@pytest.mark.parametrize("ours, theirs", [
    (regularizers.get("l1"), keras.regularizers.get("l1")),
    (regularizers.get("l2"), keras.regularizers.get("l2")),
    (regularizers.L1(0.3), keras.regularizers.L1(0.3)),
    (regularizers.L1L2(0.3, 0.1), keras.regularizers.L1L2(0.3, 0.1)),
    # Keras's name "l1_l2" is a penalty of zero; ours is the one Keras's documentation shows.
    (regularizers.get("l1_l2"), keras.regularizers.L1L2(0.01, 0.01)),
])  # fmt: skip
def test_value(ours, theirs):
    np.testing.assert_allclose(ours(W), theirs(W), rtol=1e-6)


def test_what_is_taken_and_refused():
    assert regularizers.get(None) is None
    assert regularizers.get(regularizers.L2) == regularizers.L2()
    assert regularizers.get(len) is len
    with pytest.raises(ValueError, match="unknown regularizer"):
        regularizers.get("l3")
    with pytest.raises(TypeError, match="a regularizer must be"):
        regularizers.get(0.1)
