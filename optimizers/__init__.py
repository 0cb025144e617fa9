"""Optimizers: update rules as pure functions, and the classes that keep their state."""

from __future__ import annotations

from optimizers.adam import Adam, AdamW, adam_rate, adam_step
from optimizers.base import Optimizer
from optimizers.sgd import SGD, momentum_step
