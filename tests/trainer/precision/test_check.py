"""What is found in a step's graph that half precision has not reached."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
from trainer import Precision, Trainer
from trainer.precision.check import Leftover, leftovers


class Stubborn(layers.Layer):
    """Casts back: float32 whatever it is told."""

    def build(self, input_shape):
        self.w = self.add_weight("w", [input_shape[-1], 4])

    def call(self, x):
        return tf.matmul(tf.cast(x, tf.float32), self.w)


def _graph(model, x, precision):
    trainer = Trainer(model, loss="mse", optimizer="sgd", precision=precision, jit=False)
    trainer.fit(x, np.zeros((8, 4), "float32"), batch_size=8, verbose=0)
    return trainer.programs.loops[0].graphs[0]


def test_a_layer_that_casts_back_is_named(caplog):
    model = layers.Sequential([layers.Dense(4), Stubborn(name="stubborn")])
    x = np.ones((8, 4), "float32")
    graph = _graph(model, x, "mixed_bfloat16")
    (found,) = leftovers(graph)
    assert found.layer.endswith("stubborn")
    assert found == Leftover(found.layer, "float32 MatMul", 3)
    assert leftovers(graph, ignore=["stubborn"]) == []


def test_convolutions_and_recurrences_are_found_forward_and_backward():
    x = np.ones((8, 6, 6, 1), "float32")
    model = keras.Sequential(
        [
            keras.layers.Conv2D(2, 3, name="conv"),
            keras.layers.Reshape([4, 8]),
            keras.layers.LSTM(4, name="lstm"),
        ]
    )
    found = leftovers(_graph(model, x, "float32"))
    assert {row.what for row in found if "conv" in row.layer} == {"float32 Conv2D"}
    assert sum(row.times for row in found if "lstm" in row.layer) >= 4
    assert all("gradient" not in row.layer for row in found)
    assert leftovers(_graph(model, x, "mixed_bfloat16")) == []


def test_sparse_products_of_two_dtypes_are_found():
    """TensorFlow takes bfloat16 @ float32 without a word, as a sparse product."""

    def step(x, w):
        with tf.name_scope("head"):
            return tf.matmul(x, w)

    spec = tf.TensorSpec([2, 2], tf.bfloat16), tf.TensorSpec([2, 2], tf.float32)
    graph = tf.function(step).get_concrete_function(*spec).graph
    assert leftovers(graph) == [Leftover("head", "bfloat16 @ float32", 1)]


@pytest.mark.parametrize("keep", [(), ("stubborn",)])
def test_fit_says_it_once_unless_it_is_meant(monkeypatch, keep):
    said = []
    monkeypatch.setattr("trainer.programs.logging.warning", said.append)
    model = layers.Sequential([layers.Dense(4), Stubborn(name="stubborn")])
    precision = Precision("bfloat16", keep=keep)
    trainer = Trainer(model, loss="mse", optimizer="muon", precision=precision, jit=False)
    x, y = np.ones((12, 4), "float32"), np.zeros((12, 4), "float32")
    trainer.fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert len(said) == (0 if keep else 1)
    assert all("stubborn: float32 MatMul (3 times)" in text for text in said)


def _said(monkeypatch, model, precision):
    said = []
    monkeypatch.setattr("trainer.programs.logging.warning", said.append)
    trainer = Trainer(model, loss="mse", optimizer="sgd", precision=precision, jit=False)
    trainer.fit(np.ones((8, 4), "float32"), np.zeros((8, 4), "float32"), batch_size=8, verbose=0)
    return said


def test_a_layer_that_is_kept_does_not_hide_its_namesakes(monkeypatch):
    """Names default to the class's: it is the place that tells layers apart."""
    model = layers.Sequential([layers.Dense(4), Stubborn(), Stubborn()])
    (text,) = _said(monkeypatch, model, Precision("bfloat16", keep=["^model/layers/2$"]))
    assert "sequential/1/stubborn: float32 MatMul (3 times)" in text
    assert "/2/" not in text
    model = layers.Sequential([layers.Dense(4), layers.Sequential([Stubborn(), Stubborn()])])
    assert _said(monkeypatch, model, Precision("bfloat16", keep=["^model/layers/1$"])) == []


def test_layers_set_to_half_by_hand_are_looked_at_too(monkeypatch):
    model = layers.Sequential([layers.Dense(4), Stubborn(), layers.Dense(4)])
    for layer in model.layers[:2]:
        layer.compute_dtype = "bfloat16"
    (text,) = _said(monkeypatch, model, None)
    assert text.startswith("layers compute in bfloat16, but")
    assert "sequential/1/stubborn: float32 MatMul" in text
    assert "/2/" not in text  # float32 as it was set
    assert _said(monkeypatch, layers.Sequential([layers.Dense(4), Stubborn()]), None) == []
