"""Names to losses."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

import losses

NEEDED = {"label_aware_margin": {"class_counts": [1, 2]}}  # arguments without a default


@pytest.mark.parametrize("name", losses.names())
def test_every_name_in_both_spellings_is_the_class_and_keras_s_if_it_has_one(name):
    config = NEEDED.get(name, {})
    loss = losses.get({"class_name": name, "config": config})
    again = losses.get({"class_name": type(loss).__name__, "config": config})
    assert type(again) is type(loss)
    assert loss.reduction == "sum_over_batch_size"
    theirs = getattr(keras.losses, type(loss).__name__, None)
    assert loss.name == (theirs().name if theirs else name)
    if not config:
        assert type(losses.get(name)) is type(loss)


def test_keras_has_no_loss_that_is_missing_here():
    theirs = {
        name
        for name, value in vars(keras.losses).items()
        if isinstance(value, type) and issubclass(value, keras.losses.Loss)
    }
    assert theirs - set(losses.__all__) == set()


def test_every_public_class_has_a_name():
    public = {name for name in losses.__all__ if isinstance(getattr(losses, name), type)}
    named = {
        type(losses.get({"class_name": name, "config": NEEDED.get(name, {})})).__name__
        for name in losses.names()
    }
    assert named == public - {"Loss", "FunctionLoss"}


@pytest.mark.parametrize("name", ["mse", "MAE", "mape", "MSLE", "bce", "BCE", "KLD", "log_cosh"])
def test_short_names_are_keras_s(name):
    a, b = tf.constant([[0.2, 0.9]]), tf.constant([[0.4, 0.7]])
    wanted = keras.losses.get(name)(a, b)
    assert float(losses.get(name)(a, b)) == pytest.approx(float(wanted[0]), rel=1e-6)


def test_objects_functions_classes_and_configs():
    loss = losses.Huber(2.0)
    assert losses.get(loss) is loss
    assert losses.get(losses.Huber).delta == 1.0
    assert losses.get({"class_name": "Huber", "config": {"delta": 3.0}}).delta == 3.0

    def absolute(y_true, y_pred):
        return tf.abs(y_true - y_pred)

    wrapped = losses.get(absolute)
    assert wrapped.name == "absolute"
    assert float(wrapped(tf.zeros([4]), tf.ones([4]))) == 1.0
    theirs = keras.losses.MeanSquaredError()
    assert losses.get(theirs) is theirs


def test_unknown_names_show_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'mean_squared_error'"):
        losses.get("mean_square_error")
    with pytest.raises(ValueError, match="known: "):
        losses.get("zzz")
    with pytest.raises(TypeError, match="loss=None is neither"):
        losses.get(None)
