"""Clipping against NumPy, plain and compiled, for small and for folded sums."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.mark.parametrize("jit", [False, True])
def test_clipping(jit, state, single, near):
    g, m, _ = state
    run = lambda f, x: tf.function(lambda *gs: f(list(gs), x), jit_compile=jit)(*single(g, m))  # noqa: E731
    norm = np.sqrt((g**2).sum() + (m**2).sum())
    near([tf.constant(optimizers.global_norm(single(g, m)))], norm)
    near(run(optimizers.clip_by_value, 0.3), np.clip(g, -0.3, 0.3), np.clip(m, -0.3, 0.3))
    near(run(optimizers.clip_by_norm, 0.3), *(0.3 * x / np.linalg.norm(x) for x in (g, m)))
    near(run(optimizers.clip_by_global_norm, 0.3), 0.3 * g / norm, 0.3 * m / norm)
    near(run(optimizers.clip_by_norm, 1e3), g, m)
    near(run(optimizers.clip_by_global_norm, 1e3), g, m)


def test_clipping_keeps_zero_and_shows_what_is_not_finite():
    zero, bad = tf.zeros([3]), tf.constant([1.0, np.inf, 1.0])
    for clip in (optimizers.clip_by_norm, optimizers.clip_by_global_norm):
        np.testing.assert_array_equal(clip([zero], 1.0)[0], [0.0, 0.0, 0.0])
    clipped = optimizers.clip_by_global_norm([zero, bad], 1.0)
    assert np.isnan(clipped[0]).all() and np.isnan(clipped[1]).all()


@pytest.mark.parametrize("shape", [(), (127,), (128,), (131,), (300, 7)])
@pytest.mark.parametrize("jit", [False, True])
def test_square_sum_of_any_size(shape, jit, rng):
    x = rng.normal(size=shape)
    got = tf.function(optimizers.clipping.square_sum, jit_compile=jit)(tf.constant(x, tf.float32))
    np.testing.assert_allclose(got, (x**2).sum(), rtol=1e-6)
