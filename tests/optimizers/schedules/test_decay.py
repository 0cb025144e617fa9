"""Falling rates against Keras, and against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers import schedules


@pytest.mark.parametrize(
    ("name", "args", "config"),
    [
        ("ExponentialDecay", (0.1, 10, 0.5), {}),
        ("ExponentialDecay", (0.1, 10, 0.5), {"staircase": True}),
        ("InverseTimeDecay", (0.1, 10, 0.5), {}),
        ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
        ("PolynomialDecay", (0.1, 30), {}),
        ("PolynomialDecay", (0.1, 30, 0.01, 2.0), {}),
        ("PolynomialDecay", (0.1, 12, 0.01), {"cycle": True}),
        ("PiecewiseConstantDecay", ([5, 20], [1.0, 0.5, 0.1]), {}),
    ],
)
def test_equals_keras(name, args, config, equals_keras):
    equals_keras(name, args, config)


STEPS = np.arange(40)


def test_step_decay(follows):
    follows(schedules.StepDecay(0.1, 7, 0.5), 0.1 * 0.5 ** (STEPS // 7))


def test_rsqrt(follows):
    """Vaswani et al. 2017, equation 3: d^-0.5 min(t^-0.5, t warmup^-1.5)."""
    t = STEPS + 1.0
    wanted = 512**-0.5 * np.minimum(t**-0.5, t * 10.0**-1.5)
    follows(schedules.RsqrtDecay(512**-0.5 * 10**-0.5, 10), wanted)


def test_linear(follows):
    follows(schedules.Linear(0.1, 0.3, 20), np.interp(STEPS, [0, 20], [0.1, 0.3]))


def test_bad_arguments():
    for make in (
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.InverseTimeDecay(0.1, -1, 0.5),
        lambda: schedules.PolynomialDecay(0.1, 0),
        lambda: schedules.Linear(0.1, 0.2, 0),
        lambda: schedules.RsqrtDecay(0.1, 0),
    ):
        with pytest.raises(ValueError, match=r"steps=-?\d must be positive"):
            make()
    with pytest.raises(ValueError, match="step_size=0 must be an integer"):
        schedules.StepDecay(0.1, 0)
    with pytest.raises(ValueError, match="3 entries for 1 boundaries"):
        schedules.PiecewiseConstantDecay([1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="must increase"):
        schedules.PiecewiseConstantDecay([5, 5], [1.0, 2.0, 3.0])
