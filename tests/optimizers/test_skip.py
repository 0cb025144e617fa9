"""Updates that are left out or put together."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import skip


@pytest.mark.parametrize("jit", [False, True])
def test_updates_that_are_not_finite_change_nothing(jit):
    weights = [tf.Variable([1.0, 2.0]), tf.Variable(tf.ones([3, 2]))]
    optimizer = optimizers.SkipNotFinite(optimizers.Adam(0.1, weight_decay=0.1, use_ema=True))
    optimizer.build(weights)
    step = tf.function(lambda *g: optimizer.apply(g, weights), jit_compile=jit)
    step(tf.ones([2]), tf.ones([3, 2]))
    before = [v.numpy() for v in (*weights, *optimizer.variables)]
    for bad in (np.nan, np.inf, -np.inf):
        step(tf.constant([1.0, bad]), tf.ones([3, 2]))
    after = [v.numpy() for v in (*weights, *optimizer.variables)]
    assert int(optimizer.skipped) == 3 and int(optimizer.iterations) == 1
    for a, b in zip(before[:-1], after[:-1], strict=True):
        np.testing.assert_array_equal(a, b)
    step(tf.ones([2]), tf.ones([3, 2]))
    assert int(optimizer.iterations) == 2


@pytest.mark.parametrize("size", [1, 127, 128, 1000])
@pytest.mark.parametrize("jit", [False, True])
def test_one_bad_number_anywhere_is_seen(size, jit):
    check = tf.function(lambda g: skip.all_finite([tf.ones([2]), g]), jit_compile=jit)
    assert bool(check(tf.fill([size], 3e38)))  # whose squares and sum are not finite
    for place in {0, size // 2, size - 1}:
        gradient = np.ones(size, np.float32)
        gradient[place] = np.nan
        assert not bool(check(tf.constant(gradient)))


def test_rows_are_looked_at_too():
    table = tf.Variable(tf.ones([4, 1]))
    optimizer = optimizers.SkipNotFinite(optimizers.SGD(1.0))
    for value, wanted in ((np.nan, 1.0), (1.0, 0.0)):
        rows = tf.IndexedSlices(tf.constant([[value]]), tf.constant([2]), (4, 1))
        optimizer.apply([rows], [table])
        assert float(table[2, 0]) == wanted


@pytest.mark.parametrize("jit", [False, True])
def test_accumulated_gradients_are_one(jit, rng):
    grads = np.float32(rng.normal(size=(6, 3)))
    one, many = tf.Variable(tf.ones([3])), tf.Variable(tf.ones([3]))
    plain, optimizer = optimizers.Adam(0.1), optimizers.Accumulate(optimizers.Adam(0.1), 3)
    optimizer.build([many])
    step = tf.function(lambda g: optimizer.apply([g], [many]), jit_compile=jit)
    for i, g in enumerate(grads):
        step(tf.constant(g))
        if i % 3 == 2:
            plain.apply([tf.constant(grads[i - 2 : i + 1].mean(0))], [one])
        np.testing.assert_allclose(many, one, rtol=1e-6)
    assert int(optimizer.iterations) == 2 and int(optimizer.calls) == 6


def test_accumulation_is_keras_s(rng):
    grads = np.float32(rng.normal(size=(6, 3)))
    ours, theirs = tf.Variable(tf.ones([3])), keras.Variable(np.ones(3, np.float32))
    optimizer = optimizers.Accumulate(optimizers.AdamW(0.1, 0.1), 3)
    other = keras.optimizers.AdamW(0.1, 0.1, gradient_accumulation_steps=3)
    for g in grads:
        optimizer.apply([tf.constant(g)], [ours])
        other.apply([tf.constant(g)], [theirs])
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=2e-6)


def test_accumulated_rows():
    table = tf.Variable(tf.ones([3, 1]))
    optimizer = optimizers.Accumulate(optimizers.SGD(1.0), 2)
    for row in (0, 2):
        rows = tf.IndexedSlices(tf.constant([[1.0], [1.0]]), tf.constant([row, row]), (3, 1))
        optimizer.apply([rows], [table])
    np.testing.assert_array_equal(table, [[0.0], [1.0], [0.0]])
    with pytest.raises(ValueError, match="steps=0 must be"):
        optimizers.Accumulate(optimizers.SGD(), 0)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_gradient_that_is_none_in_one_call_counts_as_zeros_there(missing):
    """Of three calls, the last of which updates; a variable that never had one stays."""
    one, other, never = (tf.Variable([1.0]) for _ in range(3))
    optimizer = optimizers.Accumulate(optimizers.SGD(1.0, weight_decay=0.5), 3)
    for call in range(6):
        grad = None if call % 3 == missing else tf.constant([0.3])
        optimizer.apply([tf.constant([0.6]), grad, None], [one, other, never])
        if call == 2:
            np.testing.assert_allclose([one[0], other[0]], [0.5 - 0.6, 0.5 - 0.2], rtol=1e-6)
    np.testing.assert_allclose([one[0], other[0]], [-0.05 - 0.6, 0.15 - 0.2], rtol=1e-6)
    assert float(never[0]) == 1.0 and float(optimizer.slot("gradient_sum", other)[0]) == 0.0
