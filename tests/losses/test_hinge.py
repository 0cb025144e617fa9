"""The hinge family against Keras, with both ways to write yes and no."""

from __future__ import annotations

import numpy as np
import pytest

import losses


@pytest.mark.parametrize("name", ["Hinge", "SquaredHinge"])
@pytest.mark.parametrize("no", [-1, 0])
def test_equals_keras(name, no, against_keras, rng):
    y_true = np.where(rng.uniform(size=(6, 4)) < 0.5, no, 1)
    against_keras(name, y_true, rng.normal(size=(6, 4)))


def test_categorical_equals_keras(against_keras, rng):
    against_keras("CategoricalHinge", np.eye(4)[[0, 1, 2, 3, 1]], rng.normal(size=(5, 4)))


def test_no_and_zero_mean_the_same(rng):
    y_pred = rng.normal(size=(3, 2))
    y = np.array([[0, 1], [1, 1], [0, 0]])
    np.testing.assert_array_equal(losses.hinge(y, y_pred), losses.hinge(2 * y - 1, y_pred))
