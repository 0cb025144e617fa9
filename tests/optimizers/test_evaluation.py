"""Averages swapped in for evaluation, and the old bits put back."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.fixture
def trained(rng):
    weight = tf.Variable(rng.normal(size=(3, 2)), dtype=tf.float32)
    optimizer = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.7)
    for _ in range(4):
        optimizer.apply([tf.constant(rng.normal(size=(3, 2)), tf.float32)], [weight])
    return weight, optimizer


def test_the_swap_is_exact_and_compiled_functions_see_it(trained):
    weight, optimizer = trained
    read = tf.function(lambda: weight + 0.0)
    before = read().numpy()
    with optimizer.evaluating():
        np.testing.assert_array_equal(read(), optimizer.slot("average", weight))
        weight.assign_add(tf.ones_like(weight))
    np.testing.assert_array_equal(read(), before)


def test_the_weights_come_back_after_an_error(trained):
    weight, optimizer = trained
    before = weight.numpy()
    with pytest.raises(ZeroDivisionError), optimizer.evaluating():
        raise ZeroDivisionError
    np.testing.assert_array_equal(weight, before)


def test_without_averages_nothing_changes(rng):
    weight = tf.Variable([1.0])
    optimizer = optimizers.SGD(0.1)
    optimizer.build([weight])
    with optimizer.evaluating():
        assert float(weight[0]) == 1.0


def test_not_inside_a_compiled_function(trained):
    with pytest.raises(RuntimeError, match="belongs outside of"):
        tf.function(lambda: trained[1].evaluating().__enter__())()
