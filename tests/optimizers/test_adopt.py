"""ADOPT against the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers


@pytest.mark.parametrize("clip", [True, False])
def test_adopt(clip, equals_numpy):
    def rule(t, w, g, s):
        if t == 1:
            s["v"], s["m"] = g**2, 0.0
            return w
        scaled = g / np.maximum(np.sqrt(s["v"]), 1e-2)
        if clip:
            scaled = np.clip(scaled, -((t - 1) ** 0.25), (t - 1) ** 0.25)
        s["m"] = 0.9 * s["m"] + 0.1 * scaled
        s["v"] = 0.99 * s["v"] + 0.01 * g**2
        return w - 0.01 * s["m"]

    equals_numpy(lambda: optimizers.ADOPT(0.01, beta_2=0.99, epsilon=1e-2, clip=clip), rule, 1e-5)
