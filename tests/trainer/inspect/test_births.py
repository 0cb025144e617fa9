"""Births: which operation, in which layer, forward, backward or in the update."""

import importlib.util

import tensorflow as tf

import layers as L
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


def test_a_folder_of_the_user_may_be_called_keras(tmp_path):
    (tmp_path / "keras").mkdir()
    file = tmp_path / "keras" / "mine.py"
    file.write_text("import tensorflow as tf\ndef log(x):\n    return tf.math.log(x)\n")
    spec = importlib.util.spec_from_file_location("mine", file)
    mine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mine)
    (found,) = births(lambda: mine.log(tf.zeros([1])), {})
    assert found.line == "keras/mine.py:3 in log"


def test_a_forward_method_may_be_called_apply():
    class Applied(L.Layer):
        def call(self, x):
            return self.apply(x)

        def apply(self, x):
            return tf.math.log(x)

    (found,) = births(lambda: Applied()(tf.zeros([1])), {})
    assert (found.op, found.layer, found.phase) == ("Log", "", "forward")
    assert str(found).startswith(f"Log outside of any layer, forward, at {found.line}: 1 -inf of 1")


def test_half_precision_overflows_are_seen_and_nothing_is_left_on():
    half = tf.constant([300.0], tf.float16)
    found = births(lambda: half * half, {})
    assert found[0].op == "Mul" and "float16[1]" in found[0].made
    assert births(lambda: None, {}) == []
