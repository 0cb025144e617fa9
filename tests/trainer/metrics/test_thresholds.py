"""Precision and recall by hand; their values against Keras: catalogue."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import metrics


def test_by_hand():
    y, p = [1, 1, 0, 0, 1], [0.9, 0.6, 0.7, 0.1, 0.4]
    values = {
        cls.__name__: (m := cls()).result(m(y, p))
        for cls in (metrics.Precision, metrics.Recall, metrics.TruePositives, metrics.TrueNegatives)
    }
    assert values == {
        "Precision": pytest.approx(2 / 3),
        "Recall": pytest.approx(2 / 3),
        "TruePositives": 2.0,
        "TrueNegatives": 1.0,
    }


def test_several_thresholds_give_one_value_each_in_their_order():
    metric = metrics.Recall([0.8, 0.0, 0.5])
    np.testing.assert_allclose(metric.result(metric([1, 1, 0], [0.9, 0.6, 0.7])), [0.5, 1.0, 1.0])


def test_ties_among_the_largest_keep_the_first(sums_of):
    metric = metrics.Precision(top_k=2)
    sums = sums_of(metric, np.float32([[1, 0, 1, 0]]), np.float32([[0.5, 0.5, 0.5, 0.9]]))
    assert metric.result(sums) == 0.5  # the last and the first


def test_refusals():
    with pytest.raises(ValueError, match=r"thresholds=2 must lie in \[0, 1\]"):
        metrics.Precision(2)
    with pytest.raises(ValueError, match="k=0"):
        metrics.Recall(top_k=0)
    with pytest.raises(ValueError, match="Precision: y_true has shape"):
        metrics.Precision()(np.zeros([2, 3]), np.zeros([2, 4]))


@given(
    name=st.sampled_from(["Precision", "Recall", "TruePositives", "FalseNegatives"]),
    thresholds=st.one_of(
        st.none(),
        st.floats(0, 1, width=16),
        st.lists(st.floats(0, 1, width=16), min_size=1, max_size=5),
    ),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    weighted=st.booleans(),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    seed=st.integers(0, 2**20),
)
def test_equal_keras_on_drawn_thresholds_shapes_and_dtypes(
    name, thresholds, shape, weighted, dtype, seed
):
    """Predictions are multiples of 1/16: many are thresholds."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, shape)
    p = (rng.integers(0, 17, shape) / 16).astype(dtype)
    weight = rng.uniform(size=shape).astype("f") if weighted else None
    ours = getattr(metrics, name)(thresholds)
    theirs = getattr(keras.metrics, name)(thresholds)
    theirs.update_state(y, p, None if weight is None else weight)
    wanted = np.asarray(theirs.result())
    found = ours.result(ours(y, p, weight))
    np.testing.assert_allclose(np.ravel(found), np.ravel(wanted), rtol=1e-6, atol=1e-6)
