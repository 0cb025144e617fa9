"""Cycles against their papers' formulas, and against optax where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers import schedules

STEPS = np.arange(60)


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_one_cycle(shape, follows):
    part = np.where(STEPS < 15, 1 - STEPS / 15, np.clip((STEPS - 15) / 35, 0, 1))
    fall = 0.5 * (1 + np.cos(np.pi * part)) if shape == "cosine" else 1 - part
    low = np.where(STEPS < 15, 0.1, 0.1 / 50)
    follows(
        schedules.OneCycle(
            1.0, 50, warmup_fraction=0.3, initial_divisor=10, final_divisor=50, shape=shape
        ),
        low + (1 - low) * fall,
        rtol=1e-5,
    )


def test_one_cycle_is_optax_s():
    optax = pytest.importorskip("optax", reason="optax is not installed: an optional peer")
    theirs = optax.cosine_onecycle_schedule(50, 0.5)
    ours = schedules.OneCycle(0.5, 50)
    np.testing.assert_allclose(
        [ours(s) for s in STEPS], [theirs(s) for s in STEPS], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(("shrink", "gamma"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.99)])
def test_cyclical(shrink, gamma, follows):
    """Smith 2017: cycle = floor(1 + t / 2s), x = |t / s - 2 cycle + 1|."""
    cycle = np.floor(1 + STEPS / 16)
    x = np.abs(STEPS / 8 - 2 * cycle + 1)
    height = np.maximum(0, 1 - x) * shrink ** (cycle - 1) * gamma**STEPS
    follows(schedules.Cyclical(0.1, 0.5, 8, shrink=shrink, gamma=gamma), 0.1 + 0.4 * height)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"warmup_fraction=1\.0 must lie in \(0, 1\)"):
        schedules.OneCycle(0.1, 10, warmup_fraction=1.0)
    with pytest.raises(ValueError, match="shape='square' must be one of 'cosine', 'linear'"):
        schedules.OneCycle(0.1, 10, shape="square")
    with pytest.raises(ValueError, match="step_size=0 must be positive"):
        schedules.Cyclical(0.1, 0.2, 0)
