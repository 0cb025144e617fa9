"""Prodigy against the paper's algorithm in NumPy, over all variables together."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


def reference(problem, steps, d, rate, decay, correct, safeguard):
    """Algorithm 4 with one d for all variables, in float64."""
    b1, b2, b3, d0, eps = 0.9, 0.99, 0.99**0.5, d, 1e-8
    w = {n: np.float64(x) for n, x in problem["weights"].items()}
    w0 = {n: x.copy() for n, x in w.items()}
    m, v, s = ({n: np.zeros_like(x) for n, x in w.items()} for _ in range(3))
    r = 0.0
    for t in range(1, steps + 1):
        grads = {n: np.float64(g[t - 1]) for n, g in problem["grads"].items()}
        grads["table"] = np.float64(problem["table"][t - 1])
        fix = np.sqrt(1 - b2**t) / (1 - b1**t) if correct else 1.0
        e, old = d * rate * fix, d
        r *= b3
        for n, g in grads.items():
            r += d / d0 * e * (g * (w0[n] - w[n])).sum()
            s[n] = b3 * s[n] + d / d0 * (d if safeguard else e) * g
            m[n] = b1 * m[n] + (1 - b1) * d * g
            v[n] = b2 * v[n] + (1 - b2) * (d * g) ** 2
        d = max(d, r / sum(np.abs(x).sum() for x in s.values()))
        for n in w:
            w[n] = w[n] - e * (m[n] / (np.sqrt(v[n]) + d * eps) + decay * w[n])
    assert d > old or d > d0
    return w, d


@pytest.mark.parametrize(("correct", "safeguard"), [(False, False), (True, True)])
def test_prodigy(correct, safeguard, problem, train, close):
    options = {"bias_correction": correct, "safeguard_warmup": safeguard}
    # Random gradients lead nowhere: a drift makes d grow.
    problem = {**problem, "grads": {n: g + 0.5 for n, g in problem["grads"].items()}}
    wanted, d = reference(problem, 40, 1e-3, 0.7, 0.1, correct, safeguard)
    for jit in (False, True):
        optimizer = optimizers.Prodigy(
            0.7, beta_2=0.99, initial_d=1e-3, weight_decay=0.1, **options
        )
        close(train(optimizer, jit, steps=40, drift=0.5), wanted, 1e-5, f"compiled={jit}")
        np.testing.assert_allclose(optimizer.d, d, rtol=1e-5)
        assert d > 2e-3


def test_it_finds_a_rate_by_itself():
    target = tf.constant([3.0, -2.0, 10.0])
    weight = tf.Variable(tf.zeros([3]))
    optimizer = optimizers.Prodigy()
    optimizer.build([weight])

    @tf.function
    def run():
        for _ in tf.range(400):
            optimizer.apply([2.0 * (weight - target)], [weight])

    run()
    assert float(tf.norm(weight - target)) < 0.5 and float(optimizer.d) > 0.1
    with pytest.raises(ValueError, match="initial_d=0 must be positive"):
        optimizers.Prodigy(initial_d=0)
