"""Regression losses against Keras, and where a formula says what the value must be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

import losses

NAMES = (
    "MeanSquaredError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "LogCosh",
    "Poisson",
    "Huber",
    "CosineSimilarity",
)


@pytest.mark.parametrize("name", NAMES)
def test_equals_keras(name, against_keras, rng):
    y_true, y_pred = rng.uniform(0.5, 3.0, (2, 6, 4))
    against_keras(name, y_true, y_pred, rtol=2e-6)


@pytest.mark.parametrize("name", ["MeanSquaredError", "LogCosh", "Huber", "CosineSimilarity"])
def test_equals_keras_in_three_axes_and_below_zero(name, against_keras, rng):
    y_true, y_pred = rng.normal(size=(2, 3, 5, 2))
    against_keras(name, y_true, y_pred, weights=rng.uniform(size=(3, 5)), rtol=2e-6)


def test_options_equal_keras(against_keras, rng):
    y_true, y_pred = rng.normal(size=(2, 4, 5))
    against_keras("Huber", y_true, y_pred, delta=0.3)
    against_keras("CosineSimilarity", y_true, y_pred, axis=1)


def test_a_last_axis_of_one_never_makes_pairs(against_keras, rng):
    y_true, y_pred = rng.normal(size=6), rng.normal(size=(6, 1))
    against_keras("MeanSquaredError", y_true, y_pred)
    against_keras("MeanAbsoluteError", y_pred, y_true)
    np.testing.assert_allclose(
        losses.mean_squared_error(y_true, y_pred), (y_true - y_pred[:, 0]) ** 2, rtol=1e-6
    )
    assert losses.mean_squared_error(tf.zeros([6, 3, 1]), tf.zeros([6, 3])).shape == [6]


@pytest.mark.parametrize("shapes", [([4, 1], [4, 3]), ([4], [3]), ([4, 2], [4]), ([2, 4], [4, 2])])
@pytest.mark.parametrize("loss", [losses.mean_squared_error, losses.huber, losses.poisson])
def test_other_shapes_are_refused(loss, shapes):
    a, b = map(tf.ones, shapes)
    with pytest.raises(ValueError, match="nothing is broadcast"):
        loss(a, b)


def test_scalars_are_refused():
    with pytest.raises(ValueError, match="batch axis"):
        losses.mean_squared_error(1.0, 2.0)


def test_integers_and_half_precision_are_computed_in_float32():
    value = losses.mean_squared_error(np.array([[300], [2]]), tf.constant([[0.0], [1]], tf.float16))
    np.testing.assert_array_equal(value, [90000.0, 1.0])
    assert value.dtype == tf.float32


def test_extremes():
    big = losses.log_cosh([[0.0], [0.0]], [[1e4], [-1e4]])
    np.testing.assert_allclose(big, 1e4 - math.log(2.0), rtol=1e-6)
    np.testing.assert_allclose(losses.huber([[0.0]], [[1e20]]), [1e20], rtol=1e-6)
    np.testing.assert_array_equal(losses.cosine_similarity([[0.0, 0.0]], [[1.0, 0.0]]), [0.0])
    assert np.isfinite(losses.mean_absolute_percentage_error([[0.0]], [[1.0]])).all()


def test_delta_must_be_positive():
    with pytest.raises(ValueError, match="delta=0 "):
        losses.Huber(0)


def test_pinball_is_lowest_at_the_quantile(rng):
    sample = np.sort(rng.normal(size=200)).astype("f")
    for q in (0.1, 0.5, 0.9):
        values = [
            np.mean(losses.pinball(sample[:, None], np.full([200, 1], guess), q))
            for guess in sample
        ]
        assert abs(np.argmin(values) - q * 200) <= 1


def test_pinball_of_several_quantiles_is_the_mean_of_each(rng):
    q = (0.1, 0.5, 0.8)
    y, p = rng.normal(size=6), rng.normal(size=(6, 3))
    each = [losses.pinball(y[:, None], p[:, i : i + 1], q[i]) for i in range(3)]
    for target in (y, y[:, None], np.repeat(y[:, None], 3, 1)):
        found = losses.Pinball(q).call(target, p)
        np.testing.assert_allclose(found, np.mean(each, 0), rtol=1e-5)
    with pytest.raises(ValueError, match="must have one prediction for each"):
        losses.pinball(y, p[:, :2], q)
    with pytest.raises(ValueError, match=r"quantile=1.0 must lie between 0 and 1"):
        losses.Pinball(1.0)
