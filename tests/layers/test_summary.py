"""The summary table of layers and of any tf.Module."""

from __future__ import annotations

import re

import keras
import pytest
import tensorflow as tf

import layers as L


def test_table_of_layers():
    model = L.Sequential([L.Dense(3), L.BatchNormalization()])
    assert "not built yet" in L.summary(model)
    model(tf.zeros([1, 4]))
    lines = L.summary(model).splitlines()
    assert lines[0].split() == ["path", "shape", "parameters", "trainable", "dtype", "share"]
    assert lines[2].split() == ["layers[0].kernel", "4x3", "12", "yes", "float32", "44.4", "%"]
    assert "layers[1].moving_mean" in lines[6] and " no " in lines[6]
    assert lines[-1] == "Sequential: 27 parameters, 21 trainable, 6 not"
    model.layers[0].trainable = False
    assert L.summary(model).splitlines()[-1] == "Sequential: 27 parameters, 6 trainable, 21 not"


def test_any_module_and_shared_variables_once():
    module = tf.Module()
    module.scale = tf.Variable(2, dtype=tf.int32, trainable=False)
    module.parts = {"a": L.Dense(2), "b": [tf.Variable(tf.zeros([1000, 2]))]}
    module.again = module.parts["b"][0]
    module.parts["a"](tf.zeros([1, 1]))
    text = L.summary(module)
    assert "parts['a'].kernel" in text and "scalar" in text and "2,000" in text
    assert text.splitlines()[-1] == "Module: 2,005 parameters, 2,004 trainable, 1 not"


def test_a_keras_model():
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization()])
    model(tf.zeros([1, 4]))
    model.layers[0].trainable = False
    lines = L.summary(model).splitlines()
    assert lines[2].split()[1:] == ["4x3", "12", "no", "float32", "44.4", "%"]
    assert re.search(r"dense(_\d+)?/kernel$", lines[2].split()[0])
    assert lines[-1] == "Sequential: 27 parameters, 6 trainable, 21 not"


def test_nothing_to_count_and_no_model():
    assert L.summary(L.Flatten()).splitlines()[-2].startswith("Flatten: 0 parameters")
    with pytest.raises(TypeError, match=r"must be a tf\.Module or a Keras model, got <object"):
        L.summary(object())
