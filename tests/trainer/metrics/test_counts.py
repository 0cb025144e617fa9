"""Histograms and tallies against counting one by one."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.metrics.counts import Thresholds, checked_thresholds, histograms, rates, tally


@pytest.mark.parametrize("jit", [False, True])
def test_a_tally_counts_what_is_inside(jit):
    places = np.array([[0, 3, 2], [-1, 4, 3]])
    run = tf.function(tally, jit_compile=jit, autograph=False)
    np.testing.assert_array_equal(run(tf.constant(places), 4), [1, 0, 1, 2])
    weights = tf.constant([[0.5, 1.0, 2.0], [9.0, 9.0, 0.25]])
    found = run(tf.constant(places), 4, weights, tf.constant(places != 2))
    np.testing.assert_array_equal(found, [0.5, 0, 0, 1.25])
    assert found.dtype == tf.float64


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    "values", [[0.5], [0.2, 0.9, 0.2], list(np.arange(11) / 10), [0.0, 0.5, 1.0]]
)
def test_above_is_above_also_for_predictions_that_are_thresholds(values, jit):
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(size=50), np.asarray(values, float), [0.0, 1.0]]).astype("f")
    y = rng.integers(0, 2, p.shape)
    thresholds = Thresholds(values)
    run = tf.function(
        lambda y, p: histograms(thresholds, y, p, metric="m"), jit_compile=jit, autograph=False
    )
    sums = run(tf.constant(y), tf.constant(p))
    assert sums.dtype == tf.int32
    found = rates(thresholds, sums)
    for i, t in enumerate(np.asarray(values, "f")):
        above = p > t
        wanted = {"tp": above & (y == 1), "fp": above & (y == 0)}
        wanted |= {"fn": ~above & (y == 1), "tn": ~above & (y == 0)}
        assert {k: v[i] for k, v in found.items()} == {k: v.sum() for k, v in wanted.items()}


def test_a_million_examples_leave_two_small_histograms():
    rng = np.random.default_rng(0)
    p, y = rng.uniform(size=1_000_000).astype("f"), rng.integers(0, 2, 1_000_000)
    sums = histograms(Thresholds(np.arange(200) / 199), y, p, metric="m")
    assert sums.shape == [2, 201]
    assert int(tf.reduce_sum(sums)) == 1_000_000


def test_predictions_that_are_no_number_are_above_nothing():
    for values in ([0.5], list(np.arange(5) / 4)):
        thresholds = Thresholds(values)
        sums = histograms(thresholds, [1.0, 1.0], [np.nan, 0.6], metric="m")
        assert rates(thresholds, sums)["tp"][0] == 1


def test_refusals():
    for wrong in (1.5, [0.1, -0.1], [], [np.nan]):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            checked_thresholds(wrong, 0.5)
    with pytest.raises(ValueError, match="class_id=1 needs y_pred"):
        histograms(Thresholds([0.5]), [1], [0.2], metric="m", class_id=1)
    with pytest.raises(ValueError, match=r"must be \[batch, labels\]"):
        histograms(Thresholds([0.5]), [1], [0.2], metric="m", by_label=True)
