"""class_weight against Keras's, and what it refuses."""

import numpy as np
import pytest

from trainer.data.weights import ClassWeight

TABLE = {0: 1.0, 1: 2.5, 3: 0.0, 7: -1}


def test_keras_gives_the_same_weights():
    from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

    y = np.array([0, 1, 3, 7, 1, 0])
    keras = class_weight_to_sample_weights(y, TABLE)
    one_hot = np.eye(8)[y]
    for labels in (y, y[:, None], y.astype("float32"), one_hot, y.astype(np.uint8)):
        got = ClassWeight(TABLE).apply(labels, None)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, keras)


def test_they_are_multiplied_into_weights_of_any_rank():
    y = np.array([[0, 1], [3, 1]])  # [m, b]: two batches of two
    by_class = ClassWeight(TABLE)
    want = np.array([[1.0, 2.5], [0.0, 2.5]])
    np.testing.assert_array_equal(by_class.apply(y, None, axes=2), want)
    np.testing.assert_array_equal(by_class.apply(y[..., None], None, axes=2), want)
    weights = np.full((2, 2, 3), 2.0)
    np.testing.assert_array_equal(
        by_class.apply(y, weights, axes=2), 2 * want[..., None] * [1, 1, 1]
    )


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([1, 2], TypeError, "a list; a dict"),
        ({}, ValueError, "empty"),
        ({"cat": 1}, ValueError, "the class 'cat'"),
        ({-1: 1}, ValueError, "the class -1"),
        ({0.5: 1}, ValueError, "the class 0.5"),
        ({0: None}, ValueError, r"class_weight\[0\] is None"),
        ({0: float("nan")}, ValueError, "is nan"),
    ],
)
def test_tables_that_make_no_sense(table, error, message):
    with pytest.raises(error, match=message):
        ClassWeight(table)


def test_targets_that_have_no_class():
    by_class = ClassWeight(TABLE)
    with pytest.raises(ValueError, match=r"no weight for class 2.*it has 0, 1, 3, 7"):
        by_class.apply(np.array([0, 2]), None)
    with pytest.raises(ValueError, match=r"no weight for class 0\.5"):
        by_class.apply(np.array([0.5]), None)
    with pytest.raises(ValueError, match=r"y is a tuple of 2"):
        by_class.apply((np.zeros(1), np.zeros(1)), None)
    with pytest.raises(ValueError, match=r"shape \(3, 4\)"):
        by_class.apply(np.zeros((2, 3, 4)), None)
    with pytest.raises(ValueError, match="single array of sample_weight"):
        by_class.apply(np.zeros(2), {"a": np.ones(2)})


def test_the_table_is_json():
    assert ClassWeight(TABLE).table() == {"0": 1.0, "1": 2.5, "3": 0.0, "7": -1.0}
