"""The constant schedule, and what a schedule must define."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import schedules
from optimizers.schedules.base import as_schedule


def test_constant():
    assert float(schedules.Constant(0.5)(10**6)) == 0.5
    assert float(as_schedule(0.25)(3)) == 0.25
    decay = schedules.Linear(1.0, 0.0, 5)
    assert as_schedule(decay) is decay


def test_repr_tells_the_arguments():
    assert repr(schedules.Constant(0.5)) == "Constant(learning_rate=0.5)"


def test_a_schedule_must_define_its_call():
    with pytest.raises(NotImplementedError, match="Schedule must define"):
        schedules.Schedule()(0)


@pytest.mark.parametrize("jit", [False, True])
def test_an_optimizer_follows_its_schedule(jit, train, train_keras, close):
    args, config = (0.01, 30, 0.2), {"warmup_target": 0.1, "warmup_steps": 10}
    optimizer = optimizers.SGD(schedules.CosineDecay(*args, **config), weight_decay=0.1)
    theirs = keras.optimizers.schedules.CosineDecay(*args, **config)
    wanted = train_keras(keras.optimizers.SGD(theirs, weight_decay=0.1), steps=45)
    close(train(optimizer, jit, steps=45), wanted, 1e-6)
    np.testing.assert_allclose(optimizer.learning_rate, 0.02, rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_a_weight_decay_follows_a_schedule_too(jit):
    weight = tf.Variable([1.0])
    optimizer = optimizers.SGD(1.0, weight_decay=schedules.Linear(0.0, 0.5, 2))
    optimizer.build([weight])
    step = tf.function(lambda: optimizer.apply([tf.zeros([1])], [weight]), jit_compile=jit)
    seen = []
    for _ in range(4):
        step()
        seen.append(float(weight[0]))
    np.testing.assert_allclose(seen, [1.0, 0.75, 0.375, 0.1875], rtol=1e-6)


def test_a_run_goes_on_in_the_middle_of_its_warm_up(tmp_path, rng):
    grads = tf.constant(rng.normal(size=(10, 2)), tf.float32)

    def make():
        rate = schedules.Warmup(schedules.CosineDecay(0.1, 10), 6)
        weight, optimizer = tf.Variable([1.0, 2.0]), optimizers.Adam(rate)
        optimizer.build([weight])
        return weight, optimizer, tf.train.Checkpoint(weight=weight, optimizer=optimizer)

    whole, optimizer, _ = make()
    for g in grads:
        optimizer.apply([g], [whole])
    weight, optimizer, checkpoint = make()
    for g in grads[:4]:
        optimizer.apply([g], [weight])
    path = checkpoint.save(str(tmp_path / "c"))
    weight, optimizer, checkpoint = make()
    checkpoint.restore(path).assert_consumed()
    for g in grads[4:]:
        optimizer.apply([g], [weight])
    np.testing.assert_array_equal(weight, whole)
