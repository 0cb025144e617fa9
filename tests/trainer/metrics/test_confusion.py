"""The confusion matrix: shapes, what is left out, and size; its values: catalogue."""

import numpy as np
import pytest
import tensorflow as tf

from trainer import metrics


def test_by_hand_from_scores_and_one_hot_targets():
    metric = metrics.ConfusionMatrix(3, sparse_y_true=False, normalize=True)
    scores = [[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.0, 0.1, 0.9], [0.0, 0.6, 0.4]]
    found = metric.result(metric(np.eye(3)[[1, 0, 2, 2]], scores))
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]])


@pytest.mark.parametrize("jit", [False, True])
def test_classes_outside_and_ignored_ones_are_left_out(jit):
    metric = metrics.ConfusionMatrix(2, sparse_y_pred=True, ignore_class=1)
    run = tf.function(metric, jit_compile=jit, autograph=False)
    found = run(tf.constant([0, 0, 1, 2, -1, 0]), tf.constant([0, 1, 1, 0, 0, 5]))
    np.testing.assert_array_equal(found, [[1, 1], [0, 0]])


def test_a_million_examples_of_a_thousand_classes():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 1000, (2, 1_000_000)).astype(np.int32)
    metric = metrics.ConfusionMatrix(1000, sparse_y_pred=True)
    matrix = tf.function(metric, jit_compile=True, autograph=False)(y, p)
    assert matrix.shape == [1000, 1000] and matrix.dtype == tf.int32
    np.testing.assert_array_equal(tf.reduce_sum(matrix, 1), np.bincount(y, minlength=1000))


def test_a_column_of_labels_and_weights_of_time_steps():
    metric = metrics.ConfusionMatrix(2)
    found = metric([[1], [0]], [[0.2, 0.8], [0.4, 0.6]])
    np.testing.assert_array_equal(found, [[0, 1], [0, 1]])
    weights = np.float32([[1.0, 0.5], [2.0, 0.0]])
    found = metric([[1, 0], [0, 0]], np.eye(2)[[[1, 0], [1, 1]]], weights)
    np.testing.assert_array_equal(found, [[0.5, 2.0], [0.0, 1.0]])


def test_one_class_alone_is_chance():
    for metric in (metrics.MatthewsCorrelation(2), metrics.CohenKappa(2)):
        assert metric.result(metric([0, 0], [[0.9, 0.1], [0.8, 0.2]])) == 0.0


def test_refusals():
    with pytest.raises(ValueError, match="num_classes=1 must be"):
        metrics.ConfusionMatrix(1)
    with pytest.raises(ValueError, match="weightage='cubic'"):
        metrics.CohenKappa(3, "cubic")
    with pytest.raises(ValueError, match="sparse_y_pred=True"):
        metrics.ConfusionMatrix(3)([0, 1], np.zeros([2, 4]))
    with pytest.raises(ValueError, match="they must be equal"):
        metrics.ConfusionMatrix(3)([[0, 1], [1, 1]], np.zeros([2, 3]))
