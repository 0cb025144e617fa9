"""Metric and MeanMetric: a function's mean, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.metrics import MeanMetric, Metric
from trainer.metrics.base import divide_no_nan


def test_mean_of_a_function(sums_of):
    metric = MeanMetric(lambda y_true, y_pred: tf.abs(y_true - y_pred), "gap", "min")
    y_true, y_pred = np.array([1.0, 2.0, 3.0], "f"), np.array([1.5, 2.0, 5.0], "f")
    weight = np.array([2.0, 1.0, 1.0], "f")
    assert metric.result(sums_of(metric, y_true, y_pred, weight)) == 0.75
    assert (metric.name, metric.direction) == ("gap", "min")


def test_takes_the_functions_name():
    def gap(y_true, y_pred):
        return y_true - y_pred

    assert MeanMetric(gap).name == "gap"
    assert MeanMetric(gap).direction is None


def test_refuses_one_number_for_a_batch():
    metric = MeanMetric(lambda y_true, y_pred: tf.reduce_mean(y_pred), "mean")
    with pytest.raises(ValueError, match=r"'mean' returned one number.*one value per example"):
        metric([1.0], [1.0])


def test_refuses_a_bad_name_or_direction():
    with pytest.raises(TypeError, match="name must be a non-empty string"):
        Metric(0.3)
    with pytest.raises(ValueError, match="direction='up'"):
        MeanMetric(lambda a, b: b, "x", "up")


def test_a_metric_must_say_how_to_sum():
    with pytest.raises(NotImplementedError, match="__call__"):
        Metric("x")([1.0], [1.0])


def test_divides_elementwise_with_zero_for_nothing():
    np.testing.assert_array_equal(divide_no_nan([1, 2], [2, 0]), [0.5, 0.0])
    assert divide_no_nan(1, 0) == 0.0


def test_sums_of_any_structure():
    class Confusion(Metric):
        def __call__(self, y_true, y_pred, sample_weight=None):
            return {"table": tf.math.confusion_matrix(y_true, y_pred, 2)}

        def result(self, sums):
            return float(np.trace(sums["table"]) / np.sum(sums["table"]))

    metric = Confusion("confusion")
    assert metric.result(metric([0, 1, 1, 0], [0, 1, 0, 0])) == 0.75
