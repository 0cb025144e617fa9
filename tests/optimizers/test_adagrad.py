"""Adagrad: the rule against the formula, the paper's epsilon in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers

EPS, LR = 1e-7, 0.01


def test_adagrad(state, single, near):
    g, _, _ = state
    tg, _, tv = single(*state)
    total = state[2] + g**2
    near(
        optimizers.adagrad_step(tg, tv, learning_rate=LR, epsilon=0.1),
        LR * g / (np.sqrt(total) + 0.1),
        total,
    )


def test_the_papers_epsilon(equals_numpy):
    def rule(t, w, g, s):
        s["a"] = s.get("a", 0.0) + g**2
        return w - 0.1 * g / (np.sqrt(s["a"]) + 0.01)

    make = lambda: optimizers.Adagrad(0.1, 0.0, 0.01, paper=True)  # noqa: E731
    equals_numpy(make, rule, modes=(False,))


@pytest.mark.parametrize(("paper", "first"), [(False, 0.35), (True, 0.25)])
def test_keras_epsilon_is_in_the_first_value(paper, first):
    weight, optimizer = tf.Variable([1.0, 1.0]), optimizers.Adagrad(0.1, 0.25, 0.1, paper=paper)
    optimizer.build([weight])
    np.testing.assert_array_equal(optimizer.slot("accumulator", weight), np.float32([first, first]))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_a_sum_of_nothing_moves_nothing(fused, jit):
    weight, optimizer = tf.Variable([1.0, 2.0]), optimizers.Adagrad(0.1, 0.0, 0.0)
    optimizer.fused = fused
    optimizer.build([weight])
    apply = tf.function(optimizer.apply, autograph=False, jit_compile=jit)
    apply([tf.constant([0.0, 3.0])], [weight])
    np.testing.assert_allclose(weight, [1.0, 1.9], rtol=1e-6)
