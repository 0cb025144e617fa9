"""Ftrl against the paper's algorithm in NumPy, and what it is for: exact zeros."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


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


def test_the_papers_algorithm(equals_numpy):
    """McMahan et al. 2013, algorithm 1: lambda_2 is twice the l2 strength, n begins at 0."""
    rate, beta, l1, l2 = 0.1, 1.0, 0.05, 0.3

    def rule(t, w, g, s):
        old = s.get("n", np.zeros_like(g))
        s["n"] = old + g**2
        s["z"] = s.get("z", 0) + g - (np.sqrt(s["n"]) - np.sqrt(old)) / rate * w
        shrunk = np.sign(s["z"]) * np.maximum(np.abs(s["z"]) - l1, 0)
        return -shrunk / ((beta + np.sqrt(s["n"])) / rate + l2)

    def make():
        return optimizers.Ftrl(
            rate,
            initial_accumulator_value=0.0,
            l1_regularization_strength=l1,
            l2_regularization_strength=l2 / 2,
            beta=beta,
        )

    equals_numpy(make, rule, 1e-5)
