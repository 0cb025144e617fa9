"""Adafactor against the paper's algorithm in NumPy, and the memory it saves."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers


def test_the_papers_rate_is_not_capped(equals_numpy):
    """Algorithm 4 and 5 of the paper with a learning rate of one's own."""

    def rule(t, w, g, s):
        beta, square = 1 - t**-0.8, g**2 + 1e-30
        if w.ndim == 2:
            s["r"] = beta * s.get("r", 0) + (1 - beta) * square.mean(-1)
            s["c"] = beta * s.get("c", 0) + (1 - beta) * square.mean(-2)
            v = np.outer(s["r"], s["c"]) / s["r"].mean()
        else:
            v = s["v"] = beta * s.get("v", 0) + (1 - beta) * square
        v = np.where(v > 0, v, 1)
        u = g / np.sqrt(v)
        u /= max(1.0, np.sqrt((u**2).mean()))
        return w - max(1e-3, np.sqrt((w**2).mean())) * 0.3 * u

    equals_numpy(lambda: optimizers.Adafactor(0.3, relative_step=False, paper=True), rule)


def test_factors_are_small():
    weight = tf.Variable(tf.ones([300, 200]))
    optimizer = optimizers.Adafactor()
    optimizer.build([weight, tf.Variable(tf.ones([7])), tf.Variable(tf.ones([2, 3, 4]))])
    sizes = [
        sum(s.shape.num_elements() for s in kept if s is not None)
        for kept in optimizer.slots.values()
    ]
    assert sum(sizes) == (300 + 200) + 7 + 2 * (3 + 4)
    assert optimizer.slot("row", weight).shape == [300]
    with pytest.raises(ValueError, match="keeps no 'velocity' for"):
        optimizer.slot("velocity", weight)


def test_a_row_and_a_column_without_gradients_stay_finite():
    """A pixel that is always 0 and a unit that is dead: where they meet Keras divides 0 by 0."""
    gradient = np.ones((3, 4), np.float32)
    gradient[0], gradient[:, 1] = 0.0, 0.0
    ours, theirs = tf.Variable(tf.ones([3, 4])), keras.Variable(np.ones((3, 4), np.float32))
    optimizers.Adafactor(0.1).apply([tf.constant(gradient)], [ours])
    keras.optimizers.Adafactor(0.1).apply([tf.constant(gradient)], [theirs])
    assert np.isnan(theirs.numpy()).all()  # through the root mean square of the whole step
    np.testing.assert_array_equal(ours.numpy() == 1.0, gradient == 0.0)
    np.testing.assert_allclose(ours.numpy()[gradient > 0], 0.9, rtol=1e-6)


def test_misuse():
    with pytest.raises(ValueError, match="beta_2_decay=0 must be below 0"):
        optimizers.Adafactor(beta_2_decay=0)
    with pytest.raises(ValueError, match="clip_threshold=0 must be positive"):
        optimizers.Adafactor(clip_threshold=0)
