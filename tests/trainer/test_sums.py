"""Sums against sums in NumPy float64, and the identity that parts add up to the whole."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.sums import Sums, spread


def test_counts_every_value_once_without_weights():
    sums = Sums.of(np.arange(6.0).reshape(2, 3))
    assert (float(sums.total), float(sums.count)) == (15.0, 6.0)
    assert sums.total.dtype == sums.count.dtype == tf.float32


@pytest.mark.parametrize("dtype", [tf.bool, tf.int32, tf.float16, tf.bfloat16, tf.float64])
def test_takes_any_dtype(dtype):
    sums = Sums.of(tf.cast([1, 0, 1], dtype))
    assert (float(sums.total), float(sums.count)) == (2.0, 3.0)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3), (4, 3, 1), (4, 3, 2), (1, 3), ()])
def test_weights_broadcast_from_the_left(run, shape):
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(4, 3, 2)).astype("f"), rng.random(shape).astype("f")
    full = np.broadcast_to(weights.reshape(shape + (1,) * (3 - len(shape))), values.shape)
    sums = run(Sums.of, values, weights)
    np.testing.assert_allclose(sums.total, (values * full).sum(dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(sums.count, full.sum(dtype=np.float64), rtol=1e-6)


def test_a_column_of_weights_weighs_a_vector():
    sums = Sums.of([1.0, 2.0], [[3.0], [4.0]])
    assert (float(sums.total), float(sums.count)) == (11.0, 7.0)


def test_weights_broadcast_from_the_left_when_no_rank_is_known():
    fn = tf.function(Sums.of, input_signature=[tf.TensorSpec(None), tf.TensorSpec(None)])
    sums = fn(tf.ones([2, 2]), tf.constant([1.0, 3.0]))
    values = fn(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([1.0, 10.0]))
    assert (float(sums.total), float(sums.count)) == (8.0, 8.0)
    assert float(values.total) == 73.0


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 3, 2)])
def test_refuses_weights_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=r"sample_weight has shape .* \(4, 3\).*one weight per"):
        spread(tf.ones(shape), tf.ones([4, 3]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 99))
def test_any_cut_adds_up_to_the_whole(sizes, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-8, 8, sum(sizes)).astype("f")  # whole numbers: sums are exact
    weights = rng.integers(0, 4, sum(sizes)).astype("f")
    parts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    total = Sums(tf.constant(0.0), tf.constant(0.0))
    for part in parts:
        total = total + Sums.of(values[part], weights[part])
    whole = Sums.of(values, weights)
    assert (float(total.total), float(total.count)) == (float(whole.total), float(whole.count))


def test_nothing_counted_is_zero():
    assert float(Sums.of([1.0, 2.0], [0.0, 0.0]).value) == 0.0
    assert Sums(3.0, 0.0).value == 0.0
    assert Sums(3.0, 2.0).value == 1.5


def test_is_a_nest():
    doubled = tf.nest.map_structure(lambda t: 2 * t, Sums(1.0, 2.0))
    assert doubled == Sums(2.0, 4.0)
    assert isinstance(doubled, Sums)
