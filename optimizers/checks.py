"""What arguments of optimizers and schedules may be; each returns its argument when it is well."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

BELOW_ONE = 1.0 - 1e-9
"""The largest decay of a mean that is corrected for its start: at 1 that would divide by 0."""


def check_rate(learning_rate: Any) -> float:
    """The learning rate as a float, when it is a finite number of at least 0."""
    try:
        if isinstance(learning_rate, str | bytes):  # float() would read "0.1"
            raise TypeError
        value = float(learning_rate)
    except (TypeError, ValueError):
        raise TypeError(
            f"learning_rate={learning_rate!r} must be a number, a schedule (step -> rate) or a "
            "scalar tf.Variable."
        ) from None
    if not 0.0 <= value < float("inf"):
        raise ValueError(f"learning_rate={learning_rate} must be finite and at least 0.")
    return value


def check_decay(weight_decay: Any) -> Any:
    """The weight decay: None, a number of at least 0, a schedule or a scalar variable."""
    if weight_decay is None or callable(weight_decay) or isinstance(weight_decay, tf.Variable):
        return weight_decay
    if isinstance(weight_decay, bool) or not weight_decay >= 0:
        raise ValueError(
            f"weight_decay={weight_decay} must be None, at least 0, a schedule or a tf.Variable."
        )
    return weight_decay


def check_range(name: str, value: float, low: float, high: float) -> float:
    """The argument, when it lies in [low, high]."""
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}={value} must lie in [{low}, {high}].")
    return value


def check_mean(name: str, value: float) -> float:
    """The decay of a running mean that is corrected for its start, in [0, 1)."""
    return check_range(name, value, 0.0, BELOW_ONE)


def check_epsilon(epsilon: float, name: str = "epsilon") -> float:
    """The argument, when it is at least 0."""
    return check_least(name, epsilon, 0.0)


def check_least(name: str, value: float, least: float) -> float:
    """The argument, when it is at least `least`."""
    if not value >= least:
        raise ValueError(f"{name}={value} must be at least {least:g}.")
    return value


def check_count(name: str, value: int, least: int = 1) -> int:
    """The argument, when it is an integer of at least `least`."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name}={value} must be an integer of at least {least}.")
    return int(value)


def check_steps(name: str, value: float) -> float:
    """The argument, when it is positive."""
    if not value > 0:
        raise ValueError(f"{name}={value} must be positive.")
    return value
