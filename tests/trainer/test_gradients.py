"""Arithmetic on gradients."""

import numpy as np
import pytest
import tensorflow as tf

from trainer import gradients


@pytest.mark.parametrize("sizes", [[1], [64], [65], [1000, 7], [129, 128, 127]])
def test_global_norm_is_tensorflows(sizes, run):
    rng = np.random.default_rng(1)
    given = [rng.normal(size=n).astype("float32") for n in sizes]
    expected = np.sqrt(sum(np.sum(g.astype(np.float64) ** 2) for g in given))
    found = run(lambda g: gradients.global_norm([*g, None]), given)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_global_norm_adds_rows_that_occur_twice():
    sparse = tf.IndexedSlices(tf.constant([[3.0], [1.0]]), tf.constant([2, 2]), tf.constant([4, 1]))
    np.testing.assert_allclose(gradients.global_norm([sparse]), 4.0)


@pytest.mark.parametrize("bad", [None, np.inf, -np.inf, np.nan])
def test_all_finite_sees_one_number_among_many(run, bad):
    given = [np.ones((9, 31), "float32"), np.ones(3, "float32")]
    if bad is not None:
        given[0][8, 30] = bad
    assert bool(run(lambda g: gradients.all_finite([*g, None]), given)) is (bad is None)


def test_both_infinities_are_not_finite(run):
    gradient = np.array([np.inf, -np.inf], "float32")
    assert not bool(run(lambda g: gradients.all_finite([g]), gradient))
