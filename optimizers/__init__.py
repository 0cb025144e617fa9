"""Optimizers: update rules as pure functions, and the classes that keep their state."""

from __future__ import annotations

from optimizers import schedules
from optimizers.adagrad import Adadelta, Adagrad, adadelta_step, adagrad_step
from optimizers.adam import Adam, AdamW, adam_rate, adam_step
from optimizers.base import Optimizer
from optimizers.clipping import (
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    global_norm,
)
from optimizers.lion import Lion, lion_step
from optimizers.nadam import Adamax, Nadam, adamax_step, nadam_step
from optimizers.registry import get, names
from optimizers.rmsprop import RMSprop, rmsprop_step
from optimizers.sgd import SGD, momentum_step

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "SGD",
    "adadelta_step",
    "adagrad_step",
    "adam_rate",
    "adam_step",
    "adamax_step",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "get",
    "global_norm",
    "lion_step",
    "momentum_step",
    "nadam_step",
    "names",
    "rmsprop_step",
    "schedules",
]
