"""A softmax or sigmoid at the end of a model: the loss is taken from the logits, as in Keras."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses

CASES = {
    "sparse_categorical_crossentropy": ("softmax", np.array([0, 1, 2, 2])),
    "categorical_crossentropy": ("softmax", np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]),
    "binary_crossentropy": ("sigmoid", np.float32(np.eye(3))[[0, 1, 2, 2]]),
}


@pytest.mark.parametrize("mode", ["eager", "graph", "compiled"])
@pytest.mark.parametrize("name", list(CASES))
def test_gradients_of_a_keras_model_with_a_final_activation(name, mode, rng):
    activation, y = CASES[name]
    model = keras.Sequential([keras.Input([5]), keras.layers.Dense(3, activation=activation)])
    # Saturated outputs: from clipped probabilities the gradients would be 0 or of another size.
    model.set_weights([rng.normal(size=(5, 3)) * 40, np.zeros(3)])
    x = tf.constant(rng.normal(size=(4, 5)), tf.float32)
    kernel = model.weights[0].value

    def gradients():
        out = []
        for loss in (getattr(losses, name), getattr(keras.losses, name)):
            with tf.GradientTape() as tape:
                value = tf.reduce_mean(loss(tf.constant(y), model(x, training=True)))
            out.append((value, tape.gradient(value, kernel)))
        return out

    if mode != "eager":
        gradients = tf.function(gradients, jit_compile=mode == "compiled")
    (value, gradient), (keras_value, keras_gradient) = gradients()
    assert np.abs(keras_gradient).max() > 1e-2
    np.testing.assert_allclose(value, keras_value, rtol=1e-6)
    np.testing.assert_allclose(gradient, keras_gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_plain_operations_are_seen_through_a_cast(dtype):
    logits = tf.constant([[0.0, 256.0], [256.0, 0.0]])

    @tf.function
    def run(logits):
        probabilities = tf.nn.softmax(tf.cast(logits, dtype))
        return losses.sparse_categorical_crossentropy([0, 0], probabilities)

    np.testing.assert_allclose(run(logits), [256.0, 0.0], atol=1e-6)


def test_probabilities_of_unknown_origin_are_clipped():
    @tf.function
    def run(logits):
        return losses.sparse_categorical_crossentropy([0], 1.0 * tf.nn.softmax(logits))

    np.testing.assert_allclose(run(tf.constant([[0.0, 256.0]])), [-np.log(1e-7)], rtol=1e-5)


def test_logits_that_are_probabilities_are_warned_of():
    @tf.function
    def run(logits):
        return losses.categorical_crossentropy([[1.0, 0.0]], tf.nn.softmax(logits), True)

    with pytest.warns(UserWarning, match="output of a softmax"), warnings.catch_warnings():
        warnings.simplefilter("always")
        run(tf.constant([[0.0, 1.0]]))
