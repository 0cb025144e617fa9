"""Keras as the reference: equal weights give equal outputs, gradients and moving statistics."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from layers.base import snake_case
from trainer.weights import load_weights


def run(layer, x, training, variables):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        wave = tf.cos(tf.range(tf.size(y), dtype=tf.float32))
        loss = tf.reduce_sum(y * tf.reshape(wave, tf.shape(y)))
    sources = [*variables, x] if x.dtype.is_floating else variables
    grads = tape.gradient(loss, sources, unconnected_gradients="zero")
    return [np.asarray(v) for v in (y, *(tf.convert_to_tensor(g) for g in grads))]


def test_keras_parity(twin_case):
    case = twin_case
    ours, theirs = case.make(), case.twin()
    x = case.inputs()
    ours(x)
    theirs(x)
    start = case.weights(theirs.get_weights())
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in start]
    theirs.set_weights(start)
    ours.set_weights(theirs.get_weights())
    assert len(ours.trainable_variables) == len(theirs.trainable_variables)
    for training in (False,) if case.random else (False, True):
        got = run(ours, x, training, ours.trainable_variables)
        want = run(theirs, x, training, [v.value for v in theirs.trainable_variables])
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            scale = max(1.0, np.abs(w).max(initial=0.0))
            np.testing.assert_allclose(g, w, rtol=0, atol=1e-5 * scale, err_msg=f"value {i}")
    for g, w in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sum(ours.losses, 0.0), sum(theirs.losses, 0.0), rtol=1e-6)


def test_a_keras_file_has_every_weight_where_it_is_looked_for(twin_case, tmp_path):
    ours, theirs = twin_case.make(), twin_case.twin()
    model = keras.Sequential([theirs])
    for layer in (ours, model):
        layer(twin_case.inputs())
    theirs.set_weights(twin_case.weights(theirs.get_weights()))
    model.save_weights(tmp_path / "k.weights.h5")
    held = {"layers": [ours]}
    if type(theirs).__name__ != type(ours).__name__:
        held = {f"layers/{snake_case(type(theirs).__name__)}": ours}
    if hasattr(theirs, "attention"):  # the twin is one layer deeper
        held = {"layers/__self_attention/attention": ours}
    assert len(load_weights(held, tmp_path / "k.weights.h5")) == len(ours.weights)
    for g, w in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(g, w)
