"""Learning rates (and weight decays) as functions of the step, traced in the graph."""

from __future__ import annotations

from optimizers.schedules.base import Constant, Schedule
from optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from optimizers.schedules.cycles import Cyclical, OneCycle
from optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    Linear,
    PiecewiseConstantDecay,
    PolynomialDecay,
    RsqrtDecay,
    StepDecay,
)
from optimizers.schedules.joined import WSD, Join, Warmup

__all__ = [
    "Constant",
    "CosineDecay",
    "CosineDecayRestarts",
    "Cyclical",
    "ExponentialDecay",
    "InverseTimeDecay",
    "Join",
    "Linear",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "RsqrtDecay",
    "Schedule",
    "StepDecay",
    "WSD",
    "Warmup",
]
