"""Cosines against Keras, and restarts at the very step."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from optimizers import schedules


@pytest.mark.parametrize(
    ("name", "args", "config"),
    [
        ("CosineDecay", (0.1, 30), {}),
        ("CosineDecay", (0.1, 30, 0.2), {}),
        ("CosineDecay", (0.01, 30, 0.2), {"warmup_target": 0.1, "warmup_steps": 10}),
        ("CosineDecayRestarts", (0.1, 6), {}),
        ("CosineDecayRestarts", (0.1, 6, 1.0, 0.8, 0.1), {}),
        ("CosineDecayRestarts", (0.1, 6), {"t_mul": 1.5, "m_mul": 0.5}),
    ],
)
def test_equals_keras(name, args, config, equals_keras):
    equals_keras(name, args, config)


def test_restarts_fall_on_their_steps():
    """A logarithm in float32 tells the period; at a restart it must not be one too few."""
    for factor in (2.0, 3.0):
        rate = schedules.CosineDecayRestarts(1.0, 10, factor)
        start, length = 0.0, 10.0
        for _ in range(8):
            assert float(rate(tf.constant(start))) == pytest.approx(1.0, abs=1e-4)
            np.testing.assert_allclose(rate(tf.constant(start + length / 2)), 0.5, atol=1e-3)
            start, length = start + length, length * factor


def test_bad_arguments():
    with pytest.raises(ValueError, match="decay_steps=0 must be positive"):
        schedules.CosineDecay(0.1, 0)
    with pytest.raises(ValueError, match="go together"):
        schedules.CosineDecay(0.1, 10, warmup_target=0.2)
    with pytest.raises(ValueError, match="go together"):
        schedules.CosineDecay(0.1, 10, warmup_steps=5)
    with pytest.raises(ValueError, match=r"t_mul=0\.5 must be at least 1"):
        schedules.CosineDecayRestarts(0.1, 10, 0.5)
