"""Ftrl against Keras, and what it is for: weights that are exactly 0."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.mark.parametrize(
    "config",
    [
        {"learning_rate": 0.1},
        {
            "learning_rate": 0.1,
            "l1_regularization_strength": 0.3,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.5,
            "learning_rate_power": -0.4,
        },
    ],
)
def test_equals_keras(config, equals_keras):
    equals_keras("Ftrl", config, rtol=4e-6)


def test_weak_gradients_leave_exact_zeros():
    weight = tf.Variable([1.0, 1.0])
    optimizer = optimizers.Ftrl(0.5, l1_regularization_strength=1.0)
    for _ in range(3):
        optimizer.apply([tf.constant([0.1, -2.0])], [weight])
    assert weight.numpy()[0] == 0.0 and weight.numpy()[1] > 0.0


def test_misuse():
    with pytest.raises(ValueError, match=r"learning_rate_power=0\.5 must be at most 0"):
        optimizers.Ftrl(learning_rate_power=0.5)
    with pytest.raises(ValueError, match="l1_regularization_strength=-1 must be at least 0"):
        optimizers.Ftrl(l1_regularization_strength=-1)
    assert np.isclose(float(optimizers.Ftrl().learning_rate), 0.001)
