"""Distillation: identities; the value: catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import losses


def test_nothing_to_learn_from_oneself_and_nothing_reaches_the_teacher(rng):
    teacher, student = (tf.constant(rng.normal(size=(4, 5)), tf.float32) for _ in range(2))
    np.testing.assert_allclose(losses.distillation(teacher, teacher), [0.0] * 4, atol=1e-6)
    with tf.GradientTape() as tape:
        tape.watch([teacher, student])
        value = losses.Distillation(2.0)(teacher, student)
    to_teacher, to_student = tape.gradient(value, [teacher, student])
    assert to_teacher is None and np.abs(to_student).max() > 0


def test_hot_it_becomes_half_the_squared_error_of_centred_logits(rng):
    """Hinton et al. 2015, equation 4."""
    t, s = rng.normal(size=(2, 4, 5))
    t, s = t - t.mean(1, keepdims=True), s - s.mean(1, keepdims=True)
    found = losses.distillation(t, s, temperature=300.0)
    np.testing.assert_allclose(found, ((t - s) ** 2).mean(1) / 2, rtol=0.03)


def test_refusals():
    with pytest.raises(ValueError, match="temperature=-1 must be above 0"):
        losses.Distillation(-1)
