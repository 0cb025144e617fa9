"""RAdam against the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import optimizers


def test_radam(equals_numpy):
    b1, b2 = 0.9, 0.97

    def rule(t, w, g, s):
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
        m_hat, top = s["m"] / (1 - b1**t), 2 / (1 - b2) - 1
        rho = top - 2 * t * b2**t / (1 - b2**t)
        if rho < 5:
            return w - 0.01 * m_hat
        r = np.sqrt((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho))
        return w - 0.01 * r * m_hat / (np.sqrt(s["v"] / (1 - b2**t)) + 1e-7)

    equals_numpy(lambda: optimizers.RAdam(0.01, b1, b2), rule, 2e-5)


def test_trust_begins_at_the_sixth_step_and_the_factor_rises_to_one():
    steps = tf.constant([5.0, 6.0, 100.0, 1e5])
    sure, factor = optimizers.rectification(0.999, steps, 5.0)
    np.testing.assert_array_equal(sure, [False, True, True, True])
    assert (np.diff(factor) > 0).all() and abs(float(factor[-1]) - 1.0) < 1e-3
