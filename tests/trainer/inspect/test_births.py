"""Births: which operation, in which layer, forward, backward or in the update."""

import tensorflow as tf

import layers as L
import optimizers
from trainer.inspect.births import births


class Divide(L.Layer):
    def call(self, x):
        return x / tf.stop_gradient(x - x)


class Root(L.Layer):
    def call(self, x):
        return tf.sqrt(x)


def test_only_what_makes_it_is_told_not_what_hands_it_on():
    model = L.Sequential([L.Activation("relu"), Divide(), L.Activation("relu")])
    found = births(lambda: model(tf.ones([2, 3])), {"net": model})
    assert [(b.op, b.layer, b.phase) for b in found] == [("RealDiv", "net/layers/1", "forward")]
    assert str(found[0]) == (
        f"RealDiv in net/layers/1, forward, at {found[0].line}: 6 +inf of 6 values float32[2, 3], "
        "from inputs of 1 to 1 and 0 to 0"
    )
    assert found[0].line.endswith("in call") and "test_births.py" in found[0].line


def test_the_backward_pass_knows_its_layer():
    model = [L.Activation("relu"), Root(), L.Activation("tanh")]
    x = tf.zeros([3])

    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model[2](model[1](model[0](x)))
        tape.gradient(y, x)

    found = births(step, model)
    assert found and {(b.layer, b.phase) for b in found} == {("1", "backward")}


def test_outside_of_layers_and_in_updates():
    variable = tf.Variable([3e38])
    optimizer = optimizers.SGD(10.0)

    def step():
        tf.math.log(tf.zeros([1]))
        optimizer.apply([tf.constant([-3e38])], [variable])

    first, *rest = births(step, {})
    assert (first.op, first.layer, first.phase) == ("Log", "", "forward")
    assert rest and {b.phase for b in rest} == {"update"}
    assert " outside of any layer, " in str(first)


def test_half_precision_overflows_are_seen_and_nothing_is_left_on():
    half = tf.constant([300.0], tf.float16)
    found = births(lambda: half * half, {})
    assert found[0].op == "Mul" and "float16[1]" in found[0].made
    assert births(lambda: None, {}) == []
