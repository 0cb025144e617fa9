"""Watching calls: which modules, in what order, and nothing of it stays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
from trainer.inspect.watch import Watch, eager_functions, tensors


class Twice(tf.Module):
    """Calls what it holds twice, from inside a tf.function."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    @tf.function
    def __call__(self, x):
        return self.inner(self.inner(x))


def test_calls_come_innermost_first_with_paths_and_values():
    model = {"net": Twice(L.Dense(3))}
    x = tf.ones([2, 3])
    model["net"].inner(x)
    with Watch(model) as watch:
        y = model["net"](x)
    assert [c.path for c in watch.calls] == ["net/inner", "net/inner", "net"]
    assert [c.leaf for c in watch.calls] == [True, True, False]
    first, second, whole = watch.calls
    np.testing.assert_array_equal(first.output, second.args[0])
    np.testing.assert_array_equal(whole.output, y)
    assert first.title == "net/inner (Dense)"


def test_keras_layers_are_seen_and_classes_are_as_they_were():
    K = keras.layers
    model = keras.Sequential([keras.Input((3,)), K.Dense(2, name="a"), K.ReLU(name="b")])
    before = {cls: cls.__dict__.get("__call__") for cls in (K.Dense, K.ReLU, keras.Sequential)}
    with Watch(model) as watch:
        model(tf.ones([1, 3]))
    assert [c.path for c in watch.calls if c.leaf] == ["a", "b"]
    assert {cls: cls.__dict__.get("__call__") for cls in before} == before


def test_a_call_of_the_parent_class_is_the_same_call():
    class Named(L.Dense):
        def __call__(self, inputs, *args, **kwargs):
            return super().__call__(inputs, *args, **kwargs) + 1.0

    model = [Named(2), L.Dense(2)]
    with Watch(model) as watch:
        model[1](model[0](tf.ones([1, 2])))
    assert [c.path for c in watch.calls] == ["0", "1"]


def test_hooks_change_what_goes_in_and_what_comes_out():
    model = L.Dropout(0.5)
    with Watch(
        model,
        before=lambda path, module, args, kwargs: (args, {**kwargs, "training": False}),
        after=lambda path, module, output: output * 3.0,
        keep=False,
    ) as watch:
        y = model(tf.ones([4]), training=True)
    np.testing.assert_array_equal(y, np.full(4, 3.0))
    assert watch.calls == []


def test_an_error_inside_leaves_nothing_behind():
    class Bad(L.Layer):
        def call(self, x):
            raise RuntimeError("no")

    bad = Bad()
    with pytest.raises(RuntimeError), Watch(bad) as watch:
        bad(tf.ones([1]))
    assert watch.stack == [] and "__call__" not in vars(Bad)
    assert not tf.config.functions_run_eagerly()


def test_functions_run_eagerly_only_meanwhile():
    seen = []
    f = tf.function(lambda: seen.append(tf.executing_eagerly()))
    with eager_functions():
        f()
    f()
    assert seen == [True, False]


def test_tensors_of_a_nest():
    found = tensors({"a": (tf.ones([1]), None, 3), "b": [np.zeros(2)]})
    assert [x.shape for x in found] == [(1,), (2,)]
