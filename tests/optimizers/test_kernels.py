"""Kernels move as the rules are written, however they round what their means take in."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers.kernels import share_of_mean, share_of_one, takes_in


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999, 0.9999])
def test_the_shares_are_those_of_the_means(beta):
    """Both means step by step in float64, with the weights that float32 makes of them."""
    kept, taken = np.float64(np.float32(beta)), np.float64(np.float32(1.0 - beta))
    kernel = written = grows = 0.0
    for step in range(1, 2001):
        kernel += (1.0 - kernel) * (1.0 - kept)
        written += (1.0 - written) * taken
        grows = kept * grows + taken
        if step in (1, 10, 2000):
            share = share_of_mean(beta, tf.constant(step, tf.float32))
            np.testing.assert_allclose(share, kernel / written, rtol=2e-7)
            np.testing.assert_allclose(share_of_one(beta, tf.float32), kernel / grows, rtol=1e-9)
    assert float(share_of_mean(beta, tf.constant(3.0, tf.float64))) == pytest.approx(1.0, abs=1e-12)


def test_a_beta_that_is_rounded_to_one_takes_in_nothing():
    assert takes_in(0.9999, tf.float32)
    assert not takes_in(1 - 1e-9, tf.float32)
    assert takes_in(1 - 1e-9, tf.float64)
    assert share_of_one(1.0, tf.float32) == 1.0


@pytest.mark.parametrize("make", [
    lambda: optimizers.RMSprop(0.01, 0.999, 0.9),
    lambda: optimizers.RMSprop(0.01, 0.9999, 0.5, centered=True),
    lambda: optimizers.Adadelta(1.0, 0.999),
    lambda: optimizers.Adadelta(1.0, 1 - 1e-9),
    lambda: optimizers.Adagrad(0.1, 0.0, 1e-3),
    lambda: optimizers.Adagrad(0.1, 0.0, 1e-3, paper=True),
])  # fmt: skip
def test_other_kernels_are_the_rules_as_written(make, rng):
    start, grads = rng.normal(size=[5, 3]), rng.normal(size=[30, 5, 3]).astype(np.float32)
    moved = []
    for fused in (True, False):
        weight, optimizer = tf.Variable(0.0 * start, dtype=tf.float32), make()
        optimizer.fused = fused
        optimizer.build([weight])
        apply = tf.function(optimizer.apply, autograph=False)
        for gradient in grads:
            apply([tf.constant(gradient)], [weight])
        moved.append(weight.numpy())
    np.testing.assert_allclose(*moved, rtol=3e-6, atol=1e-6 * np.abs(moved[1]).max())


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.99, 0.9999), (0.0, 0.5), (0.9, 1 - 1e-9)])
def test_the_kernel_is_the_rule_as_written(betas, jit, rng):
    """Its `1 - beta` is off by up to 3e-4 of itself, which would be 1e-4 of the first updates."""
    start, grads = rng.normal(size=[5, 3]), rng.normal(size=[60, 5, 3]).astype(np.float32)
    grads[:, 0] *= 1e-7  # where epsilon counts
    moved = []
    for fused in (True, False):
        weight = tf.Variable(start, dtype=tf.float32)
        optimizer = optimizers.Adam(0.01, *betas)
        optimizer.fused = fused
        optimizer.build([weight])
        apply = tf.function(optimizer.apply, autograph=False, jit_compile=jit)
        for steps in (3, 57):
            for gradient in grads[:steps]:
                apply([tf.constant(gradient)], [weight])
            moved.append(weight.numpy() - start)
    for kernel, written in zip(moved[:2], moved[2:], strict=True):
        np.testing.assert_allclose(kernel, written, rtol=3e-6, atol=3e-7)
