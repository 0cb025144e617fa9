"""What `metrics=[...]` may hold: "accuracy" against Keras, names, objects, and refusals."""

import keras
import pytest
import tensorflow as tf
from keras.src.trainers.compile_utils import get_metric as keras_get

from trainer import metrics


@pytest.mark.parametrize("name", ["accuracy", "acc"])
@pytest.mark.parametrize(
    ("true", "pred"),
    [
        ((8,), (8, 1)),
        ((8, 1), (8, 1)),
        ((8,), (8, 5)),
        ((8, 1), (8, 5)),
        ((8, 5), (8, 5)),
        ((8, 4), (8, 4, 5)),
        ((8, 4, 1), (8, 4, 5)),
        ((8, 4, 5), (8, 4, 5)),
        ((8, 4), (8, 4, 1)),
    ],
)
def test_accuracy_chooses_as_keras_does(name, true, pred):
    theirs = keras_get(name, tf.zeros(true), tf.zeros(pred))
    ours = metrics.get(name, tf.TensorSpec((None, *true[1:])), tf.TensorSpec((None, *pred[1:])))
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.name == theirs.name == name


def test_accuracy_of_one_number_per_example_is_binary():
    ours = metrics.get("accuracy", tf.zeros([8]), tf.zeros([8]))
    assert isinstance(ours, metrics.BinaryAccuracy)


@pytest.mark.parametrize(
    ("true", "pred"),
    [
        (None, None),
        (tf.TensorSpec(None), tf.TensorSpec([None, 3])),
        (tf.TensorSpec([None, 3]), tf.TensorSpec([None, None])),
    ],
)
def test_accuracy_needs_shapes(true, pred):
    with pytest.raises(ValueError, match=r"'accuracy'.*'sparse_categorical_accuracy'"):
        metrics.get("accuracy", true, pred)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mse", "MeanSquaredError"),
        ("MSE", "MeanSquaredError"),
        ("mae", "MeanAbsoluteError"),
        ("rmse", "RootMeanSquaredError"),
        ("mean_absolute_error", "MeanAbsoluteError"),
        ("RootMeanSquaredError", "RootMeanSquaredError"),
        ("top_k_categorical_accuracy", "TopKCategoricalAccuracy"),
        ("sparse_top_k_categorical_accuracy", "SparseTopKCategoricalAccuracy"),
        ("binary_accuracy", "BinaryAccuracy"),
    ],
)
def test_a_name_is_reported_as_it_was_given(name, kind):
    metric = metrics.get(name)
    assert (type(metric).__name__, metric.name) == (kind, name)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("acurracy", "'accuracy'"),
        ("MeanSquareError", "'mean_squared_error'"),
        ("topk_categorial_accuracy", "'top_k_categorical_accuracy'"),
        ("presicion", "'precision'"),
    ],
)
def test_an_unknown_name_has_near_misses(name, near):
    with pytest.raises(ValueError, match=f"{name!r} is not known. Did you mean .*{near}"):
        metrics.get(name)


def test_every_metric_has_its_name_in_both_spellings_and_says_what_it_needs():
    for cls in metrics.names.CLASSES.values():
        assert getattr(metrics, cls.__name__) is cls
        for name in (cls.__name__, metrics.names._snake(cls.__name__)):
            if name.lower() == "accuracy":  # chosen by the shapes
                continue
            try:
                metric = metrics.get(name)
            except ValueError as error:
                assert f"{name!r} needs arguments; pass trainer.metrics.{cls.__name__}(" in str(
                    error
                )
            else:
                assert (type(metric), metric.name) == (cls, name)
    with pytest.raises(ValueError, match=r"MeanIoU\(num_classes=...\)"):
        metrics.get("mean_iou")


def test_instances_functions_and_losses():
    mine = metrics.MeanSquaredError("mine")
    assert metrics.get(mine) is mine

    def gap(y_true, y_pred):
        return y_true - y_pred

    metric = metrics.get(gap)
    assert (type(metric), metric.name) == (metrics.MeanMetric, "gap")
    loss = metrics.get(keras.losses.MeanAbsoluteError(name="gap"))
    assert (loss.name, loss.direction) == ("gap", "min")
    assert loss.result(loss(tf.zeros([2, 1]), tf.constant([[1.0], [2.0]]))) == 1.5


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (keras.metrics.BinaryAccuracy(), "Use BinaryAccuracy of trainer.metrics"),
        (keras.metrics.Mean(), r"trainer.metrics.Mean\(fn\)"),
        (keras.metrics.AUC(), "Use AUC of trainer.metrics, or the string 'auc'"),
        (type("Own", (keras.metrics.Metric,), {})(), "no equivalent yet"),
        (metrics.MeanSquaredError, r"call it: MeanSquaredError\(\)"),
        (3, "3 is a int"),
        (None, "None"),
    ],
)
def test_refuses_the_rest_and_says_what_to_use(thing, message):
    with pytest.raises(TypeError, match=message):
        metrics.get(thing)


def test_everything_exported_exists():
    assert all(hasattr(metrics, name) for name in metrics.__all__)
