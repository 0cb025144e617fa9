"""The pure rules against the same formulas in NumPy float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers

B1, B2, EPS, LR, T = 0.9, 0.999, 1e-7, 0.01, 7


@pytest.fixture
def state(rng):
    """A gradient, a mean and a mean of squares, in float64."""
    g, m = rng.normal(size=(2, 5, 4))
    return g, m, rng.uniform(0.5, 2.0, (5, 4))


def single(*arrays):
    return [tf.constant(a, tf.float32) for a in arrays]


def near(got, *wanted):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7)


def test_momentum(state):
    g, m, _ = state
    tg, tm = single(g, m)
    v = 0.8 * m - LR * g
    near(optimizers.momentum_step(tg, tm, learning_rate=LR, momentum=0.8), v, v)
    near(
        optimizers.momentum_step(tg, tm, learning_rate=LR, momentum=0.8, nesterov=True),
        0.8 * v - LR * g,
        v,
    )


def test_adam(state):
    g, m, v = state
    tg, tm, tv, top = single(g, m, v, 1.2 * np.ones_like(v))
    m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
    rate = LR * np.sqrt(1 - B2**T) / (1 - B1**T)
    options = {"rate": np.float32(rate), "beta_1": B1, "beta_2": B2, "epsilon": EPS}
    near(optimizers.adam_step(tg, tm, tv, **options)[:3], rate * m / (np.sqrt(v) + EPS), m, v)
    largest = np.maximum(1.2, v)
    near(
        optimizers.adam_step(tg, tm, tv, v_max=top, **options),
        rate * m / (np.sqrt(largest) + EPS),
        m,
        v,
        largest,
    )
    powers = single(B1**T, B2**T)
    np.testing.assert_allclose(optimizers.adam_rate(LR, *powers), rate, rtol=1e-5)


def test_nadam_and_adamax(state):
    g, m, v = state
    tg, tm, tv = single(g, m, v)
    mu, after, product = 0.8, 0.85, 0.3
    names = ("mu_t", "mu_next", "u_product", "beta_2_power")
    scalars = dict(zip(names, single(mu, after, product, B2**T), strict=True))
    options = {"learning_rate": LR, "beta_1": B1, "beta_2": B2, "epsilon": EPS}
    new_m, new_v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
    hat = after * new_m / (1 - product * after) + (1 - mu) * g / (1 - product)
    root = np.sqrt(new_v / (1 - B2**T))
    change, *moments = optimizers.nadam_step(tg, tm, tv, scalars, **options)
    near(moments, new_m, new_v)
    np.testing.assert_allclose(change, LR * hat / (root + EPS), rtol=2e-5)  # 1 - b2^t cancels
    u = np.maximum(B2 * v, abs(g))
    near(
        optimizers.adamax_step(tg, tm, tv, beta_1_power=np.float32(B1**T), **options),
        LR * new_m / ((1 - B1**T) * (u + EPS)),
        new_m,
        u,
    )


def test_rmsprop_and_its_elders(state):
    g, m, v = state
    tg, tm, tv = single(g, m, v)
    v = 0.9 * v + 0.1 * g**2
    change, new_v, _ = optimizers.rmsprop_step(tg, tv, learning_rate=LR, rho=0.9, epsilon=EPS)
    near((change, new_v), LR * g / np.sqrt(v + EPS), v)
    mean = 0.9 * m * 0.1 + 0.1 * g
    near(
        optimizers.rmsprop_step(
            tg, tv, learning_rate=LR, rho=0.9, epsilon=EPS, mean=tf.constant(0.1) * tm
        ),
        LR * g / np.sqrt(v - mean**2 + EPS),
        v,
        mean,
    )
    total = state[2] + g**2
    near(
        optimizers.adagrad_step(tg, tv, learning_rate=LR, epsilon=EPS),
        LR * g / np.sqrt(total + EPS),
        total,
    )
    deltas = np.abs(m)
    squares = 0.95 * state[2] + 0.05 * g**2
    delta = -np.sqrt(deltas + EPS) / np.sqrt(squares + EPS) * g
    near(
        optimizers.adadelta_step(tg, tv, tf.abs(tm), rho=0.95, epsilon=EPS),
        delta,
        squares,
        0.95 * deltas + 0.05 * delta**2,
    )


def test_lion(state):
    g, m, _ = state
    near(
        optimizers.lion_step(*single(g, m), 0.9, 0.99),
        np.sign(0.9 * m + 0.1 * g),
        0.99 * m + 0.01 * g,
    )
    # Nothing pulls, nothing moves: the sign of 0 is 0.
    assert not np.any(optimizers.lion_step(tf.zeros(3), tf.zeros(3), 0.9, 0.99)[0])


@pytest.mark.parametrize("jit", [False, True])
def test_clipping(jit, state):
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
