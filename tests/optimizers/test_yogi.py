"""Yogi against the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers


def test_yogi(equals_numpy):
    def rule(t, w, g, s):
        s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
        v = s.get("v", 0.1)
        v = s["v"] = v - 0.05 * np.sign(v - g**2) * g**2
        return w - 0.01 * s["m"] / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)

    equals_numpy(
        lambda: optimizers.Yogi(0.01, beta_2=0.95, initial_accumulator_value=0.1), rule, 1e-5
    )
    with pytest.raises(ValueError, match="initial_accumulator_value=-1 must be at least 0"):
        optimizers.Yogi(initial_accumulator_value=-1)
