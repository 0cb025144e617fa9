"""Errors of numbers against Keras's, over shapes, weights and cuts of the data."""

import keras
import numpy as np
import pytest

from trainer import metrics

NAMES = ("MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shapes", [((21, 3), (21, 3)), ((21,), (21, 1)), ((21, 2), (21, 2, 1))])
def test_equals_keras_and_any_cut_equals_the_whole(sums_of, row, keras_value, name, shapes):
    rng = np.random.default_rng(0)
    y_true, y_pred = (rng.normal(size=s).astype("f") for s in shapes)
    weight = rng.random(21).astype("f")
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    window = metrics.Window({ours.name: ours})
    for part in (slice(5, None), slice(0, 5)):
        window.add({ours.name: row(sums_of(ours, y_true[part], y_pred[part], weight[part]))})
    want = keras_value(theirs, y_true, y_pred, weight)
    assert window.values()[ours.name] == pytest.approx(want, rel=1e-6)
    assert (ours.name, ours.direction) == (theirs.name, "min")


@pytest.mark.parametrize("name", NAMES)
def test_equals_keras_without_weights(keras_value, name):
    y_true, y_pred = np.arange(6).reshape(3, 2), np.full([3, 2], 2.5, "f")
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    assert ours.result(ours(y_true, y_pred)) == pytest.approx(keras_value(theirs, y_true, y_pred))


@pytest.mark.parametrize("name", NAMES)
def test_refuses_to_broadcast(name):
    with pytest.raises(ValueError, match=rf"{name}: y_true has shape \(4, 1\)"):
        getattr(metrics, name)()(np.zeros([4, 1]), np.zeros([4, 3]))


def test_values_of_steps_are_roots_too():
    metric = metrics.RootMeanSquaredError()
    np.testing.assert_allclose(metric.value([8.0, 9.0, 0.0], [2.0, 1.0, 0.0]), [2.0, 3.0, 0.0])
