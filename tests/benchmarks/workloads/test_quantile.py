"""Quantiles that are known."""

import numpy as np
import pytest

import losses
from benchmarks.workloads import quantile


def test_targets_lie_below_the_true_quantiles_as_often_as_they_should():
    data = quantile.Quantile().data()
    below = np.mean(data.y_test < quantile.true_quantiles(data.x_test), axis=0)
    shares = np.array(quantile.QUANTILES)
    deviation = np.sqrt(shares * (1 - shares) / len(data.x_test))
    assert (np.abs(below - shares) < 4 * deviation).all()


def test_the_loss_in_numpy_is_the_one_that_is_trained():
    rng = np.random.default_rng(0)
    y, found = rng.normal(size=[9, 1]), rng.normal(size=[9, 5])
    expected = np.mean(losses.pinball(y, found, quantile.QUANTILES))
    assert quantile.pinball(y, found) == pytest.approx(expected, rel=1e-6)
