"""Accuracies against Keras's, over shapes, weights, cuts and orders of the data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import metrics
from trainer.metrics.classification import in_top_k

N, K = 37, 7
RNG = np.random.default_rng(3)
SCORES = RNG.normal(size=(N, K)).astype("f")
LABELS = RNG.integers(0, K, N)
LABELS[:12] = SCORES[:12].argmax(-1)  # some are right
ONE_HOT = np.eye(K, dtype="f")[LABELS]
TIMED = RNG.normal(size=(N, 4, K)).astype("f")
TIMED_LABELS = RNG.integers(0, K, (N, 4))
BITS = RNG.integers(0, 2, (N, 3)).astype("f")
CHANCES = RNG.random((N, 3)).astype("f")
WEIGHT = RNG.random(N).astype("f")

CASES = {
    "binary": ("BinaryAccuracy", {}, BITS, CHANCES),
    "binary threshold": ("BinaryAccuracy", {"threshold": 0.3}, BITS, CHANCES),
    "binary column": ("BinaryAccuracy", {}, BITS[:, 0], CHANCES[:, :1]),
    "binary int": ("BinaryAccuracy", {}, BITS.astype(int), CHANCES),
    "binary bool": ("BinaryAccuracy", {}, BITS[:, 0].astype(bool), CHANCES[:, 0]),
    "categorical": ("CategoricalAccuracy", {}, ONE_HOT, SCORES),
    "categorical time": ("CategoricalAccuracy", {}, np.eye(K, dtype="f")[TIMED_LABELS], TIMED),
    "sparse": ("SparseCategoricalAccuracy", {}, LABELS, SCORES),
    "sparse column": ("SparseCategoricalAccuracy", {}, LABELS[:, None].astype("f"), SCORES),
    "sparse time": ("SparseCategoricalAccuracy", {}, TIMED_LABELS, TIMED),
    "top": ("TopKCategoricalAccuracy", {"k": 3}, ONE_HOT, SCORES),
    "sparse top": ("SparseTopKCategoricalAccuracy", {"k": 3}, LABELS, SCORES),
    "sparse top time": ("SparseTopKCategoricalAccuracy", {"k": 2}, TIMED_LABELS, TIMED),
    "sparse top ids": (
        "SparseTopKCategoricalAccuracy",
        {"k": 2, "from_sorted_ids": True},
        LABELS.astype("f"),
        np.argsort(-SCORES).astype("f"),
    ),
}
cases = pytest.mark.parametrize(
    ("name", "options", "y_true", "y_pred"), CASES.values(), ids=CASES.keys()
)


@cases
def test_equals_keras_and_any_cut_equals_the_whole(
    sums_of, row, keras_value, name, options, y_true, y_pred
):
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    window = metrics.Window({ours.name: ours})
    order = np.random.default_rng(1).permutation(N)
    for part in (order[:20], order[20:]):  # two traces, of different sizes
        window.add({ours.name: row(sums_of(ours, y_true[part], y_pred[part], WEIGHT[part]))})
    want = keras_value(theirs, y_true, y_pred, WEIGHT)
    assert 0 < want < 1
    assert window.values()[ours.name] == pytest.approx(want, rel=1e-6)


@cases
def test_equals_keras_without_weights(keras_value, name, options, y_true, y_pred):
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    value = ours.result(ours(y_true, y_pred))
    assert value == pytest.approx(keras_value(theirs, y_true, y_pred), rel=1e-6)
    assert (ours.name, ours.direction) == (theirs.name, "max")


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_takes_predictions_of_any_precision(dtype):
    scores = tf.cast(tf.one_hot([2, 300, 511], 512), dtype)
    metric = metrics.SparseCategoricalAccuracy()
    assert metric.result(metric([2, 300, 511], scores)) == 1.0  # bfloat16 would round 511 to 512
    top = metrics.SparseTopKCategoricalAccuracy(1)
    assert top.result(top([2, 300, 510], scores)) == pytest.approx(2 / 3)
    binary = metrics.BinaryAccuracy()
    assert binary.result(binary([[1], [0]], tf.cast([[0.75], [0.5]], dtype))) == 1.0


def test_in_top_k_is_tensorflows(run):
    scores = np.round(np.random.default_rng(0).normal(size=(200, 5)), 1).astype("f")  # with ties
    scores[::17, 2] = np.inf
    scores[::23, 3] = np.nan
    labels = np.random.default_rng(1).integers(-1, 6, 200).astype(np.int32)  # some outside
    for k in (1, 2, 5, 9):
        want = tf.math.in_top_k(labels, scores, k)
        np.testing.assert_array_equal(
            run(lambda a, b, k=k: in_top_k(a, b, k), labels, scores), want
        )


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "message"),
    [
        (metrics.BinaryAccuracy(), [2, 3], [2, 4], r"\(2, 3\) and y_pred \(2, 4\)"),
        (metrics.BinaryAccuracy(), [2], [2, 2], r"must be equal"),
        (metrics.CategoricalAccuracy(), [2], [2, 4], "use SparseCategoricalAccuracy"),
        (metrics.SparseCategoricalAccuracy(), [2, 4], [2, 4], "use CategoricalAccuracy"),
        (metrics.SparseTopKCategoricalAccuracy(), [2, 4], [2, 4], "use TopKCategoricalAccuracy"),
        (metrics.TopKCategoricalAccuracy(), [2], [2, 4], "use SparseTopKCategoricalAccuracy"),
        (metrics.SparseCategoricalAccuracy(), [2], [2], r"must be \[batch, ..., classes\]"),
    ],
)
def test_refuses_shapes_that_do_not_fit(metric, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metric(np.zeros(y_true, "f"), np.zeros(y_pred, "f"))


@pytest.mark.parametrize("k", [0, 1.5, True])
def test_refuses_a_k_that_is_no_number_of_classes(k):
    with pytest.raises(ValueError, match="k="):
        metrics.TopKCategoricalAccuracy(k)
