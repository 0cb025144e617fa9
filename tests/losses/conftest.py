"""A loss held against Keras's: values, reductions, weights and gradients, plain and compiled."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def against_keras():
    """check(name, y_true, y_pred, weights, **config): ours is Keras's loss to 1e-6.

    Every reduction eagerly (they do not depend on the loss); values and gradients compiled too.
    """

    def graded(loss, y_true, y_pred, weights):
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred, sample_weight=weights)
        gradient = tape.gradient(value, y_pred)
        values = loss.call(tf.cast(y_true, tf.float32), y_pred)
        return {"values": values, "reduced": value, "gradient": gradient}

    def reductions(make, y_true, y_pred, weights):
        return {
            f"{reduction} {w is not None}": make(reduction)(y_true, y_pred, sample_weight=w)
            for reduction in REDUCTIONS
            for w in (None, weights)
        }

    def check(name, y_true, y_pred, weights=None, rtol=1e-6, atol=1e-6, **config):
        ours, theirs = getattr(losses, name), getattr(keras.losses, name)
        y_true, y_pred = tf.constant(y_true), tf.constant(y_pred, tf.float32)
        if weights is None:
            weights = np.linspace(0.0, 2.0, y_pred.shape[0])
        args = (y_true, y_pred, tf.constant(weights, tf.float32))

        def compare(label, got, wanted):
            for key, value in wanted.items():
                assert got[key].dtype == tf.float32, key
                np.testing.assert_allclose(
                    got[key], value, rtol=rtol, atol=atol, err_msg=f"{name} {label} {key}"
                )

        wanted = graded(theirs(**config), *args)
        loss = ours(**config)
        compare("plain", graded(loss, *args), wanted)
        compiled = tf.function(lambda *a: graded(loss, *a), jit_compile=True)
        compare("compiled", compiled(*args), wanted)
        compare(
            "reductions",
            reductions(lambda reduction: ours(reduction=reduction, **config), *args),
            reductions(lambda reduction: theirs(reduction=reduction, **config), *args),
        )

    return check
