"""The repr of a layer: Python that makes the layer again, with nothing in it that is a default."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pytest
import tensorflow as tf

import layers as L


def again(layer):
    """The layer that its repr makes."""
    return eval(repr(layer), {**vars(L), **vars(L.regularizers), **vars(L.initializers)})


def test_a_repr_makes_the_layer_again(case):
    layer = case.make()
    if isinstance(layer, L.Lambda):
        pytest.skip("its function is shown by name")
    if type(layer) is not getattr(L, type(layer).__name__):
        pytest.skip("the case wraps it in a class of its own; see test_recurrent_cells")
    twin = again(layer)
    assert type(twin) is type(layer) and repr(twin) == repr(layer)
    x = case.inputs()
    assert twin(x).shape == layer(x).shape
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(x), layer(x))
    np.testing.assert_array_equal(sum(twin.losses, 0.0), sum(layer.losses, 0.0))


def test_no_default_is_shown(case):
    layer = case.make()
    parameters = inspect.signature(type(layer)).parameters
    for argument in ast.parse(repr(layer), mode="eval").body.keywords:
        default = parameters[argument.arg].default
        if isinstance(argument.value, (ast.Constant, ast.Tuple)):
            value = ast.literal_eval(argument.value)
            everywhere = value if isinstance(value, tuple) else (value,)
            assert value != default and set(everywhere) != {default}, argument.arg


@pytest.mark.parametrize("layer, shown", [
    (L.Dense(3), "Dense(units=3)"),
    (L.Dense(3, None, name="head"), "Dense(units=3)"),
    (L.Dense(3, "linear"), "Dense(units=3)"),
    (L.Dense(3, tf.nn.relu), "Dense(units=3, activation='relu')"),
    (L.Dense(3, kernel_initializer="GlorotUniform"), "Dense(units=3)"),
    (L.Dense(3, bias_initializer=L.initializers.Zeros()), "Dense(units=3)"),
    (L.Dense(3, kernel_initializer=L.initializers.GlorotUniform(seed=1)),
     "Dense(units=3, kernel_initializer=GlorotUniform(seed=1))"),
    (L.Dense(3, kernel_regularizer=L.regularizers.L2(0.5)),
     "Dense(units=3, kernel_regularizer=L2(l2=0.5))"),
    (L.Dense(3, trainable=False), "Dense(units=3, trainable=False)"),
    (L.Conv2D(4, (3, 3), strides=(1, 1)), "Conv2D(filters=4, kernel_size=(3, 3))"),
    (L.Conv2D(4, 3, strides=(1, 2)), "Conv2D(filters=4, kernel_size=(3, 3), strides=(1, 2))"),
    (L.Residual(L.Dense(3), shortcut=L.Dense(3)),
     "Residual(\n    Dense(units=3),\n    shortcut=Dense(units=3),\n)"),
], ids=repr)  # fmt: skip
def test_what_is_shown(layer, shown):
    assert repr(layer) == shown


class Scale(L.Layer):
    """Keeps what it is given, which may be an array."""

    def __init__(self, factor=None, hidden=None):
        super().__init__()
        self.factor = factor
        self._hidden = hidden

    def call(self, x):
        return x * self.factor


def test_any_argument_can_be_shown(run):
    """Arrays and tensors of a trace, too, which have no one answer to `== default`."""
    assert repr(Scale()) == repr(Scale(hidden=3)) == "Scale()"
    assert repr(Scale(np.ones(2))) == "Scale(factor=array([1., 1.]))"
    assert repr(Scale(tf.ones([2]))).startswith("Scale(factor=<tf.Tensor")
    assert repr(Scale(L.Dense(2))) == "Scale(factor=Dense(units=2))"
    seen = []

    def traced(x):
        seen.append(repr(Scale(x)))
        return Scale(x)(x)

    np.testing.assert_array_equal(run(traced, np.float32([3, 3])), [9.0, 9.0])
    assert seen[0].startswith("Scale(factor=<tf.Tensor")
