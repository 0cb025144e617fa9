"""Schedules against Keras at many steps, eagerly and compiled, and inside an optimizer."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import schedules

CASES = [
    ("ExponentialDecay", (0.1, 10, 0.5), {}),
    ("ExponentialDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("PolynomialDecay", (0.1, 30), {}),
    ("PolynomialDecay", (0.1, 30, 0.01, 2.0), {}),
    ("PolynomialDecay", (0.1, 12, 0.01), {"cycle": True}),
    ("PiecewiseConstantDecay", ([5, 20], [1.0, 0.5, 0.1]), {}),
    ("CosineDecay", (0.1, 30), {}),
    ("CosineDecay", (0.1, 30, 0.2), {}),
    ("CosineDecay", (0.01, 30, 0.2), {"warmup_target": 0.1, "warmup_steps": 10}),
]


@pytest.mark.parametrize(("name", "args", "config"), CASES)
def test_equals_keras(name, args, config):
    ours = getattr(schedules, name)(*args, **config)
    theirs = getattr(keras.optimizers.schedules, name)(*args, **config)
    steps = np.arange(50, dtype=np.int64)
    wanted = np.array([float(theirs(tf.constant(s))) for s in steps])
    plain = [ours(tf.constant(s)) for s in steps]
    assert all(rate.dtype == tf.float32 and rate.shape == [] for rate in plain)
    np.testing.assert_allclose(plain, wanted, rtol=1e-6, atol=1e-8)
    every = tf.function(lambda: tf.vectorized_map(ours, tf.constant(steps)), jit_compile=True)
    np.testing.assert_allclose(every(), wanted, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ours(7), wanted[7], rtol=1e-6)


def test_warmup_rises_to_the_schedule_and_then_is_it():
    decay = schedules.ExponentialDecay(0.1, 5, 0.5)
    warm = schedules.Warmup(decay, 4, start=0.02)
    rates = [float(warm(s)) for s in range(12)]
    np.testing.assert_allclose(rates[:5], [0.02, 0.04, 0.06, 0.08, 0.1], rtol=1e-6)
    np.testing.assert_allclose(rates[4:], [float(decay(s)) for s in range(8)], rtol=1e-6)
    number = schedules.Warmup(0.3, 2)
    np.testing.assert_allclose([float(number(s)) for s in range(4)], [0, 0.15, 0.3, 0.3], rtol=1e-6)
    assert float(schedules.Constant(0.5)(10**6)) == 0.5


def test_warmup_is_cosine_decays_own():
    ours = schedules.Warmup(schedules.CosineDecay(0.1, 30, 0.2), 10, start=0.01)
    both = schedules.CosineDecay(0.01, 30, 0.2, warmup_target=0.1, warmup_steps=10)
    for step in range(50):
        np.testing.assert_allclose(ours(step), both(step), rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_an_optimizer_follows_its_schedule(jit, train, train_keras, close):
    args, config = (0.01, 30, 0.2), {"warmup_target": 0.1, "warmup_steps": 10}
    optimizer = optimizers.SGD(schedules.CosineDecay(*args, **config), weight_decay=0.1)
    theirs = keras.optimizers.schedules.CosineDecay(*args, **config)
    wanted = train_keras(keras.optimizers.SGD(theirs, weight_decay=0.1), steps=45)
    close(train(optimizer, jit, steps=45), wanted, 1e-6)
    np.testing.assert_allclose(optimizer.learning_rate, 0.02, rtol=1e-6)


def test_bad_arguments():
    for make in (
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.InverseTimeDecay(0.1, -1, 0.5),
        lambda: schedules.PolynomialDecay(0.1, 0),
        lambda: schedules.CosineDecay(0.1, 0),
        lambda: schedules.Warmup(0.1, 0),
    ):
        with pytest.raises(ValueError, match=r"steps=-?\d must be positive"):
            make()
    with pytest.raises(ValueError, match="3 entries for 1 boundaries"):
        schedules.PiecewiseConstantDecay([1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="must increase"):
        schedules.PiecewiseConstantDecay([5, 5], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="go together"):
        schedules.CosineDecay(0.1, 10, warmup_target=0.2)
    with pytest.raises(ValueError, match="go together"):
        schedules.CosineDecay(0.1, 10, warmup_steps=5)
    with pytest.raises(NotImplementedError, match="Schedule must define"):
        schedules.Schedule()(0)


def test_repr_tells_the_arguments():
    assert repr(schedules.Constant(0.5)) == "Constant(learning_rate=0.5)"
