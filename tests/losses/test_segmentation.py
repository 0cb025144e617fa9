"""Overlap losses against Keras, and what they say of the batch axis."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import losses


@pytest.fixture
def masks(rng):
    return rng.integers(0, 2, (4, 3, 5, 2)), rng.uniform(size=(4, 3, 5, 2))


@pytest.mark.parametrize("axis", [(1, 2, 3), (1, 2), -1])
def test_equal_keras(axis, masks, against_keras, rng):
    weights = {(1, 2, 3): [4], (1, 2): [4, 2], -1: [4, 3, 5]}[axis]
    against_keras("Dice", *masks, rng.uniform(size=weights), axis=axis)
    against_keras("Tversky", *masks, rng.uniform(size=weights), axis=axis, alpha=0.2, beta=0.9)


def test_without_an_axis_each_example_is_keras_s_batch_of_one(masks):
    y_true, y_pred = masks[0].astype("f"), masks[1].astype("f")
    for name in ("dice", "tversky"):
        alone = [
            getattr(keras.losses, name)(y_true[i : i + 1], y_pred[i : i + 1]) for i in range(4)
        ]
        np.testing.assert_allclose(getattr(losses, name)(y_true, y_pred), alone, rtol=1e-6)


def test_alpha_weighs_what_is_missed():
    missed = losses.tversky([[1.0, 1.0]], [[1.0, 0.0]], alpha=1.0, beta=0.0)
    invented = losses.tversky([[1.0, 0.0]], [[1.0, 1.0]], alpha=1.0, beta=0.0)
    np.testing.assert_allclose([missed[0], invented[0]], [0.5, 0.0], atol=1e-6)


@pytest.mark.parametrize("axis", [0, (0, 1), 4, -4])
def test_the_batch_is_no_axis_of_an_example(axis, masks):
    with pytest.raises(ValueError, match="Axis 0 is the batch"):
        losses.dice(*masks, axis=axis)
