"""Names to losses."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

import losses


@pytest.mark.parametrize("name", losses.names())
def test_every_name_in_both_spellings_is_keras_s_class(name):
    loss = losses.get(name)
    assert type(losses.get(type(loss).__name__)) is type(loss)
    theirs = getattr(keras.losses, type(loss).__name__)()
    assert (loss.name, loss.reduction) == (theirs.name, theirs.reduction)


def test_every_public_class_has_a_name():
    public = {name for name in losses.__all__ if isinstance(getattr(losses, name), type)}
    named = {type(losses.get(name)).__name__ for name in losses.names()}
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
