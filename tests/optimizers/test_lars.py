"""LARS against the paper's algorithm in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.mark.parametrize("nesterov", [False, True])
def test_lars(nesterov, equals_numpy):
    def rule(t, w, g, s):
        norm = np.linalg.norm
        local = 0.02 * norm(w) / (norm(g) + 0.1 * norm(w))
        step = 0.5 * local * (g + 0.1 * w)
        v = s["v"] = 0.9 * s.get("v", 0.0) + step
        return w - (0.9 * v + step if nesterov else v)

    def make():
        return optimizers.LARS(0.5, trust_coefficient=0.02, weight_decay=0.1, nesterov=nesterov)

    equals_numpy(make, rule, modes=(nesterov,))


def test_nothing_is_divided_by_zero():
    zero = tf.zeros([3])
    options = {"trust_coefficient": 0.1, "weight_decay": 0.0, "epsilon": 0.0}
    for w, g in ((zero, zero + 1), (zero + 1, zero), (zero, zero)):
        assert float(optimizers.lars_rate(w, g, **options)) == 1.0
    with pytest.raises(ValueError, match="trust_coefficient=0 must be positive"):
        optimizers.LARS(trust_coefficient=0)
