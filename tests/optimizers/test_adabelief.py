"""AdaBelief against the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np

import optimizers


def test_adabelief(equals_numpy):
    def rule(t, w, g, s):
        m = s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
        s["s"] = 0.99 * s.get("s", 0) + 0.01 * (g - m) ** 2 + 1e-8
        root = np.sqrt(s["s"] / (1 - 0.99**t)) + 1e-8
        return w - 0.01 * m / (1 - 0.9**t) / root

    equals_numpy(lambda: optimizers.AdaBelief(0.01, beta_2=0.99, epsilon=1e-8), rule, 1e-5)
