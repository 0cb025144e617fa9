"""Sequential and Residual: order, functions between layers, unique names, what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L


def test_functions_and_layers_mix_and_training_is_passed_on():
    model = L.Sequential([tf.square, L.Lambda(lambda x, training: x + float(training))])
    assert model(tf.constant([2.0]), training=True).numpy() == [5.0]


def test_names_of_weights_are_unique():
    model = L.Sequential([L.Dense(2), L.Sequential([L.Dense(2)]), L.Dense(2)])
    model(tf.zeros([1, 2]))
    names = [v.name for v in model.weights]
    assert names[0] == "sequential/0/dense/kernel:0" and len(set(names)) == len(names) == 6


def test_build_by_shape_add_and_pop():
    model = L.Sequential([L.Conv2D(3, 3), L.Flatten(), L.Dense(2)])
    assert not model.built
    model.build((None, 5, 5, 1))
    assert model.built and len(model.weights) == 4
    model.add(L.Dense(1))
    assert not model.built and model(tf.zeros([1, 5, 5, 1])).shape == (1, 1)
    assert isinstance(model.pop(), L.Dense) and len(model) == 3 and model[0] is next(iter(model))


def test_residual_adds():
    layer = L.Residual([L.Dense(4)])
    x = np.random.default_rng(0).normal(size=[2, 4]).astype(np.float32)
    np.testing.assert_allclose(layer(x), x + layer.block(x), atol=1e-6)
    with pytest.raises(ValueError, match="a shortcut"):
        L.Residual(L.Dense(3))(x)


def test_repr_is_nested():
    shown = repr(L.Sequential([L.Dense(2), L.Residual([L.Flatten()])]))
    assert shown.splitlines()[1] == "    Dense(units=2),"
    assert "            Flatten()," in shown.splitlines()


@pytest.mark.parametrize("part, words", [
    (L.Dense, "give an instance"), (3, "layers or functions"),
])  # fmt: skip
def test_what_is_refused(part, words):
    with pytest.raises(TypeError, match=words):
        L.Sequential([part])


def test_a_keras_layer_is_refused_because_its_weights_would_not_be_seen():
    with pytest.raises(TypeError, match="cannot see"):
        L.Sequential([keras.layers.Dense(2)])
