"""Sparse gradients made dense, and rounding that keeps the mean."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from optimizers import slots


def test_duplicate_rows_add_up():
    rows = tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([2, 0, 2]))
    got = slots.dense(rows, tf.Variable(tf.zeros([4, 1])))
    np.testing.assert_array_equal(got, [[2.0], [0.0], [5.0], [0.0]])


@pytest.mark.parametrize("jit", [False, True])
def test_stochastic_rounding(jit):
    rounded = tf.function(slots.stochastic_round, jit_compile=jit)
    x = tf.fill([100_000], 1.0 + 1.0 / 512)  # a quarter of the way from 1 to 1 + 1/128
    got = rounded(x, [1, 2])
    assert got.dtype == tf.bfloat16
    values, counts = np.unique(np.float32(got), return_counts=True)
    np.testing.assert_array_equal(values, [1.0, 1.0 + 1.0 / 128])
    assert abs(counts[1] / 100_000 - 0.25) < 0.01
    np.testing.assert_array_equal(got, rounded(x, [1, 2]))
    assert (got != rounded(x, [1, 3])).numpy().any()


def test_rounding_leaves_what_fits_and_what_is_not_finite():
    x = tf.constant([0.0, -1.5, 1e-30, np.inf, -np.inf, np.nan])
    for seed in range(5):
        got = np.float32(slots.stochastic_round(x, [seed, 0]))
        np.testing.assert_array_equal(got[[0, 1, 3, 4]], [0.0, -1.5, np.inf, -np.inf])
        assert np.isnan(got[5]) and 0 < got[2] < 2e-30


def test_an_item_reads_decays_and_writes():
    weight, slot = tf.Variable([2.0]), tf.Variable([1.0])
    item = slots.Item(
        3, weight, tf.constant([1.0]), {"m": slot}, tf.constant(0.5), 0.2, tf.constant(0.1), 7
    )
    np.testing.assert_array_equal(item.seed, [3, 7])
    assert item.plain() and item.dtype == tf.float32
    np.testing.assert_allclose(item.weight(), [1.8])
    item.decay_now()
    np.testing.assert_allclose(item.weight(), [1.8])
    np.testing.assert_allclose(weight, [1.8])
    item.write(None, {"m": item.read()["m"] + 1.0})
    np.testing.assert_allclose(slot, [2.0])
    np.testing.assert_allclose(weight, [1.8])
