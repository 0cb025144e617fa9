"""Lamb: the paper's place of the decay against NumPy."""

from __future__ import annotations

import numpy as np

import optimizers


def test_the_papers_decay(equals_numpy):
    def rule(t, w, g, s):
        s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
        s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
        r = s["m"] / (1 - 0.9**t) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-6) + 0.1 * w
        return w - 0.01 * np.linalg.norm(w) / np.linalg.norm(r) * r

    equals_numpy(
        lambda: optimizers.Lamb(0.01, epsilon=1e-6, weight_decay=0.1, paper=True), rule, rtol=2e-5
    )
