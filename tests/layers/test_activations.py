"""Activations against Keras's: values, gradients, settings."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers import activations

X = np.linspace(-7, 7, 58).reshape(2, 29).repeat(2, axis=1).astype(np.float32)
NAMES = sorted(set(activations._FUNCTIONS) - {"swiglu", "sparsemax"})


def graded(function, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
        loss = tf.reduce_sum(tf.square(y + 0.3))
    return y, tape.gradient(loss, x)


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_keras(name):
    ours = graded(activations.get(name), X)
    for got, want in zip(ours, graded(keras.activations.get(name), X), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_all_of_them_compiled():
    functions = [activations.get(name) for name in NAMES]
    every = tf.function(lambda x: [f(x) for f in functions], jit_compile=True, autograph=False)
    for name, got in zip(NAMES, every(X), strict=True):
        np.testing.assert_allclose(got, activations.get(name)(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name, settings", [
    ("relu", {"negative_slope": 0.2, "max_value": 3.0, "threshold": 1.0}),
    ("relu", {"max_value": 6}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 0.5}),
    ("gelu", {"approximate": True}),
    ("glu", {"axis": 0}),
    ("softmax", {"axis": 0}),
    ("hard_shrink", {"threshold": 2.0}),
    ("squareplus", {"b": 1.0}),
])  # fmt: skip
def test_settings_are_keras(name, settings):
    got = getattr(activations, name)(X, **settings)
    want = getattr(keras.activations, name)(X, **settings)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_swiglu_is_silu_times_the_rest():
    gate, value = np.split(X.astype(np.float64), 2, -1)
    want = gate / (1 + np.exp(-gate)) * value
    np.testing.assert_allclose(activations.swiglu(X), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [0, -1])
def test_sparsemax_is_the_projection_on_the_simplex(axis):
    # Keras 3.15's sums to more than one for some inputs, so the definition is the reference.
    x = np.random.default_rng(0).normal(size=[5, 6]).astype(np.float32)
    y = activations.sparsemax(x, axis).numpy()
    np.testing.assert_allclose(y.sum(axis), 1.0, rtol=1e-5)
    level = np.where(y > 0, x - y, -np.inf).max(axis, keepdims=True)
    np.testing.assert_allclose(y, np.maximum(x - level, 0), atol=1e-5)


def test_softmax_of_sixteen_bits_is_computed_in_float32():
    x = tf.cast(X, tf.bfloat16)
    want = tf.cast(tf.nn.softmax(tf.cast(x, tf.float32)), tf.bfloat16)
    np.testing.assert_array_equal(activations.softmax(x), want)


def test_masked_softmax_is_keras():
    mask = np.arange(X.size).reshape(X.shape) % 3 > 0
    mask[1] = False  # nothing to see: zeros, no NaN
    np.testing.assert_allclose(
        L.Softmax()(X, mask=mask), keras.layers.Softmax()(X, mask=mask), atol=1e-6
    )


def test_final_softmax_and_sigmoid_are_the_last_operation():
    # A loss may then look behind them for the logits.
    for name, kind in (("softmax", "Softmax"), ("sigmoid", "Sigmoid")):
        layer = L.Dense(3, name)
        layer(X)
        with tf.Graph().as_default():
            assert activations.get(name)(tf.constant(X)).op.type == kind


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"did you mean one of \['relu"):
        activations.get("rellu")
    with pytest.raises(TypeError, match="an activation must be"):
        activations.get(3)
