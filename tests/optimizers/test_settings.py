"""Multiplied rates, exclusions and compact slots, as they are set before an optimizer is built."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.fixture
def weights():
    names = ("encoder/kernel", "encoder/bias", "head/kernel")
    return [tf.Variable([1.0, 2.0], name=name) for name in names]


@pytest.fixture
def halves(weights):
    return [tf.fill(w.shape, 0.5) for w in weights]


@pytest.mark.parametrize("name", ["SGD", "Adam", "Lion", "Muon"])
def test_a_multiplied_rate_is_another_optimizer_s(name, weights, halves):
    make = getattr(optimizers, name)
    optimizer = make(0.5, weight_decay=0.1)
    optimizer.multiply_learning_rate(0.1, var_names=["encoder/"])
    optimizer.multiply_learning_rate(0.0, var_list=[weights[1]])
    optimizer.apply(halves, weights)
    for weight, rate in zip(weights, (0.05, 0.0, 0.5), strict=True):
        alone = tf.Variable([1.0, 2.0])
        make(rate, weight_decay=0.1).apply(halves[:1], [alone])
        np.testing.assert_allclose(weight, alone, rtol=1e-6)
    kept = [listed for _, listed, _ in optimizer._factors]
    assert not optimizer._undecayed[0] and not any(kept)  # no variable of the model


def test_patterns_count_for_variables_that_come_later(weights, halves):
    optimizer = optimizers.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias$"])
    optimizer.multiply_learning_rate(0.1, var_names=["encoder/"])
    optimizer.build(weights)
    names = ("encoder/late/kernel", "late/bias", "late/kernel")
    late = [tf.Variable([1.0, 2.0], name=name) for name in names]
    optimizer.add(late)
    optimizer.apply([tf.zeros_like(w) for w in late], late)
    for weight, wanted in zip(late, ([0.95, 1.9], [1.0, 2.0], [0.5, 1.0]), strict=True):
        np.testing.assert_allclose(weight, wanted, rtol=1e-6)


def test_names_that_come_near_are_told(weights):
    optimizer = optimizers.SGD()
    optimizer.multiply_learning_rate(0.1, var_names=["^encodr/"])
    with pytest.raises(ValueError, match=r"'\^encodr/' is found in no.*did you mean 'encoder"):
        optimizer.build(weights)
    optimizer = optimizers.SGD()
    optimizer.exclude_from_weight_decay(var_names=["("])
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        optimizer.build(weights)


def test_compact_slots_are_half_as_large_and_keep_moving():
    """bfloat16 cannot add a thousandth: rounding to the nearest would leave v where it began."""
    size, steps = 4096, 300
    whole, compact = tf.Variable(tf.zeros([size])), tf.Variable(tf.zeros([size]))
    wide, narrow = optimizers.Adam(1e-3), optimizers.Adam(1e-3)
    narrow.store_slots("bfloat16")
    both = ((wide, whole), (narrow, compact))
    for optimizer, weight in both:
        optimizer.build([weight])
    gradient = tf.linspace(0.5, 1.5, size)

    @tf.function
    def run():
        for _ in tf.range(steps):
            for optimizer, weight in both:
                optimizer.apply([gradient], [weight])

    run()
    assert [s.dtype for s in (narrow.slot("velocity", compact), wide.slot("velocity", whole))] == [
        tf.bfloat16,
        tf.float32,
    ]
    got = tf.cast(narrow.slot("velocity", compact), tf.float32)
    wanted = wide.slot("velocity", whole)
    # One element is off by up to 1/128; their mean is right.
    assert abs(float(tf.reduce_mean(got / wanted)) - 1.0) < 2e-3
    np.testing.assert_allclose(compact, whole, rtol=0.05)


def test_some_slots_alone(weights, halves):
    optimizer = optimizers.Adam(use_ema=True)
    optimizer.store_slots("bfloat16", ["momentum"])
    optimizer.apply(halves, weights)
    dtypes = {name: kept[0].dtype for name, kept in optimizer.slots.items()}
    wanted = {"average": tf.float32, "momentum": tf.bfloat16, "velocity": tf.float32}
    assert dtypes == wanted


@pytest.mark.parametrize(
    ("name", "slot"),
    [("ScheduleFreeAdamW", "momentum"), ("Ftrl", "linear"), ("Prodigy", "initial")],
)
def test_slots_that_are_weights_keep_their_bits(name, slot, weights):
    optimizer = getattr(optimizers, name)()
    optimizer.store_slots("bfloat16")
    optimizer.build(weights)
    dtypes = {slot: kept[0].dtype for slot, kept in optimizer.slots.items()}
    assert dtypes.pop(slot) == tf.float32 and set(dtypes.values()) == {tf.bfloat16}
    optimizer = getattr(optimizers, name)()
    optimizer.store_slots("bfloat16", [slot])
    with pytest.raises(ValueError, match=f"store_slots: '{slot}' is weights"):
        optimizer.build(weights)


def test_names_that_match_nothing(weights):
    optimizer = optimizers.Adam()
    optimizer.store_slots("bfloat16", ["momentums"])
    with pytest.raises(ValueError, match=r"'momentums' is no slot; Adam can store \['momentum', "):
        optimizer.build(weights)
    with pytest.raises(ValueError, match=r"exclude_layers: 'embd' is found in no variable name"):
        optimizers.Muon(exclude_layers=["embd"]).build(weights)


def test_misuse(weights, halves):
    optimizer = optimizers.SGD()
    with pytest.raises(ValueError, match="dtype='float16' must be 'bfloat16'"):
        optimizer.store_slots("float16")
    with pytest.raises(ValueError, match="factor=-1 must be finite and at least 0"):
        optimizer.multiply_learning_rate(-1)
    optimizer.apply(halves, weights)
    for late in (
        lambda: optimizer.store_slots("bfloat16"),
        lambda: optimizer.multiply_learning_rate(2),
    ):
        with pytest.raises(ValueError, match="before the optimizer is built"):
            late()
