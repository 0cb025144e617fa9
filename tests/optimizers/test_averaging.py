"""Averages of the weights against NumPy: they count real updates, and swap exactly."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.fixture
def follow(rng):
    """follow(optimizer, steps, jit): the weights after each call, and the average after all."""

    def run(optimizer, steps, jit=False, bad=()):
        weight = tf.Variable([1.0, -1.0])
        optimizer.build([weight])
        weight.assign([2.0, -2.0])  # loaded later
        step = tf.function(lambda g: optimizer.apply([g], [weight]), jit_compile=jit)
        path = []
        for i in range(steps):
            gradient = rng.normal(size=2) if i not in bad else np.full(2, np.nan)
            step(tf.constant(gradient, tf.float32))
            path.append(weight.numpy())
        return np.stack(path), optimizer.evaluation_values()[0].numpy(), weight

    return run


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("warmup", [False, True])
def test_ema(jit, warmup, follow):
    path, got, _ = follow(optimizers.EMA(optimizers.SGD(0.1), 0.8, warmup=warmup), 7, jit)
    wanted = path[0]
    for n, w in enumerate(path[1:], 1):
        momentum = min(0.8, (1 + n) / (10 + n)) if warmup else 0.8
        wanted = momentum * wanted + (1 - momentum) * w
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_swa(jit, follow):
    path, got, _ = follow(optimizers.SWA(optimizers.SGD(0.1), start=2, every=3), 10, jit)
    np.testing.assert_allclose(got, path[[2, 5, 8]].mean(0), rtol=1e-6)


def test_ema_is_the_optimizers_own(follow, rng):
    one, two = tf.Variable([1.0]), tf.Variable([1.0])
    own = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    around = optimizers.EMA(optimizers.SGD(0.1), 0.9)
    for _ in range(5):
        g = tf.constant(rng.normal(size=1), tf.float32)
        own.apply([g], [one])
        around.apply([g], [two])
    np.testing.assert_array_equal(own.evaluation_values()[0], around.evaluation_values()[0])
    around.finalize_variable_values([two])
    np.testing.assert_array_equal(two, own.slot("average", one))


def test_skipped_updates_and_micro_steps_do_not_count(follow):
    inner = optimizers.SkipNotFinite(optimizers.SGD(0.1))
    path, got, _ = follow(optimizers.SWA(inner), 6, bad=(1, 4))
    np.testing.assert_allclose(got, path[[0, 2, 3, 5]].mean(0), rtol=1e-6)
    path, got, _ = follow(optimizers.SWA(optimizers.Accumulate(optimizers.SGD(0.1), 3)), 7)
    np.testing.assert_allclose(got, path[[2, 5]].mean(0), rtol=1e-6)


def test_before_the_first_average_the_weights_are_as_they_are(follow):
    optimizer = optimizers.SWA(optimizers.SGD(0.1), start=100)
    path, got, weight = follow(optimizer, 3)
    np.testing.assert_array_equal(got, path[-1])
    with optimizer.evaluating():
        np.testing.assert_array_equal(weight, path[-1])
    assert int(optimizer.count) == 0


def test_misuse():
    with pytest.raises(ValueError, match="every=0 must be an integer of at least 1"):
        optimizers.SWA(optimizers.SGD(), every=0)
    with pytest.raises(ValueError, match="momentum=2 must lie in"):
        optimizers.EMA(optimizers.SGD(), 2)


def test_weights_loaded_after_build_are_those_until_the_first_update():
    weight = tf.Variable([1.0])
    optimizer = optimizers.SGD(1.0, use_ema=True)
    optimizer.build([weight])
    weight.assign([7.0])
    with optimizer.evaluating():
        assert float(weight[0]) == 7.0
    optimizer.finalize_variable_values([weight])
    assert float(weight[0]) == 7.0
