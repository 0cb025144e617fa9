"""Warm-ups, schedules in a row, and the three phases of WSD."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import schedules

STEPS = np.arange(60)


def test_warmup_rises_to_the_schedule_and_then_is_it():
    decay = schedules.ExponentialDecay(0.1, 5, 0.5)
    warm = schedules.Warmup(decay, 4, start=0.02)
    rates = [float(warm(s)) for s in range(12)]
    np.testing.assert_allclose(rates[:5], [0.02, 0.04, 0.06, 0.08, 0.1], rtol=1e-6)
    np.testing.assert_allclose(rates[4:], [float(decay(s)) for s in range(8)], rtol=1e-6)
    number = schedules.Warmup(0.3, 2)
    np.testing.assert_allclose([float(number(s)) for s in range(4)], [0, 0.15, 0.3, 0.3], rtol=1e-6)


def test_warmup_is_cosine_decays_own():
    ours = schedules.Warmup(schedules.CosineDecay(0.1, 30, 0.2), 10, start=0.01)
    both = schedules.CosineDecay(0.01, 30, 0.2, warmup_target=0.1, warmup_steps=10)
    for step in range(50):
        np.testing.assert_allclose(ours(step), both(step), rtol=1e-6)


def test_join(follows):
    cosine = schedules.CosineDecay(1.0, 20)
    joined = schedules.Join([schedules.Linear(0.0, 1.0, 10), cosine, 0.25], [10, 25])
    wanted = [s / 10 if s < 10 else float(cosine(s - 10)) if s < 25 else 0.25 for s in range(40)]
    follows(joined, wanted)


@pytest.mark.parametrize("shape", ["linear", "cosine", "sqrt"])
def test_wsd(shape, follows):
    part = np.clip((STEPS - 30) / 20, 0, 1)
    fall = {"linear": 1 - part, "cosine": 0.5 + 0.5 * np.cos(np.pi * part), "sqrt": 1 - part**0.5}
    wanted = np.minimum(STEPS / 10, 1) * (0.1 + 0.9 * fall[shape])
    rate = schedules.WSD(
        1.0, 50, warmup_steps=10, decay_steps=20, end_learning_rate=0.1, shape=shape
    )
    follows(rate, wanted)
    assert float(schedules.WSD(1.0, 50, decay_steps=20)(0)) == 1.0


def test_bad_arguments():
    with pytest.raises(ValueError, match="steps=0 must be positive"):
        schedules.Warmup(0.1, 0)
    with pytest.raises(ValueError, match="2 schedules for 2 boundaries"):
        schedules.Join([0.1, 0.2], [1, 2])
    with pytest.raises(ValueError, match="must increase"):
        schedules.Join([0.1, 0.2, 0.3], [2, 2])
    with pytest.raises(ValueError, match="total_steps=10 is less than"):
        schedules.WSD(1.0, 10, warmup_steps=6, decay_steps=6)


@pytest.mark.parametrize("jit", [False, True])
def test_a_variable_in_a_schedule_is_read_anew_and_saved(jit, tmp_path):
    def make():
        top, weight = tf.Variable(0.5), tf.Variable([0.0])
        joined = schedules.Join([schedules.Warmup(top, 2), top], [3])
        optimizer = optimizers.SGD(joined)
        optimizer.build([weight])
        step = tf.function(lambda: optimizer.apply([tf.ones([1])], [weight]), jit_compile=jit)
        return top, optimizer, weight, step

    top, optimizer, weight, step = make()
    seen = []
    for rate in (0.5, 0.5, 0.5, 2.0):
        top.assign(rate)
        step()
        seen.append(float(weight[0]))
    np.testing.assert_allclose(seen, [0.0, -0.25, -0.75, -2.75], rtol=1e-6)
    path = tf.train.Checkpoint(optimizer=optimizer).save(str(tmp_path / "c"))
    top, optimizer, _, _ = make()
    tf.train.Checkpoint(optimizer=optimizer).restore(path).assert_consumed()
    assert float(top) == 2.0 and float(optimizer.learning_rate) == 2.0
