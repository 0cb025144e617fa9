"""Schedules put together: a warm-up before one, several in a row, warm-up, hold and decay."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from optimizers.checks import check_count, check_steps
from optimizers.schedules.base import Schedule, as_schedule, number
from optimizers.schedules.cycles import check_shape, falling


class Warmup(Schedule):
    """A linear rise to any schedule or rate, which starts (at its own step 0) when the rise ends.

    Args:
        schedule: What follows: a schedule, a number, or a `tf.Variable`.
        steps: Steps of the rise, positive.
        start: Rate at step 0.
    """

    def __init__(self, schedule: float | Callable | tf.Variable, steps: int, *, start: float = 0.0):
        super().__init__()
        self.schedule = as_schedule(schedule)
        self.steps = check_steps("steps", steps)
        self.start = start

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        after = tf.maximum(tf.cast(step, tf.int64) - int(self.steps), 0)
        rate = tf.cast(self.schedule(after), tf.float32)
        fraction = tf.minimum(number(step) / self.steps, 1.0)
        return tf.where(fraction < 1.0, self.start + (rate - self.start) * fraction, rate)


class Join(Schedule):
    """Several schedules one after the other; each begins at a step 0 of its own.

    Args:
        schedules: Schedules, numbers or `tf.Variable`s.
        boundaries: The steps at which the second, the third, ... begins; one fewer than schedules.

    Raises:
        ValueError: the lengths do not fit, or the boundaries do not increase.

    Example:
        >>> from optimizers import schedules
        >>> rate = schedules.Join([schedules.Linear(0.0, 1.0, 4), 0.5], [4])
        >>> [float(rate(step)) for step in range(6)]
        [0.0, 0.25, 0.5, 0.75, 0.5, 0.5]
    """

    def __init__(self, schedules: Sequence[float | Callable], boundaries: Sequence[int]):
        super().__init__()
        self.schedules = [as_schedule(s) for s in schedules]
        self.boundaries = [check_count("boundaries", b) for b in boundaries]
        if len(self.schedules) != len(self.boundaries) + 1:
            raise ValueError(
                f"{len(self.schedules)} schedules for {len(self.boundaries)} boundaries: give one "
                "schedule more than boundaries."
            )
        if any(b >= c for b, c in itertools.pairwise(self.boundaries)):
            raise ValueError(f"boundaries={self.boundaries} must increase.")

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        step = tf.cast(step, tf.int64)
        rate = tf.cast(self.schedules[0](step), tf.float32)
        for boundary, schedule in zip(self.boundaries, self.schedules[1:], strict=True):
            later = tf.cast(schedule(tf.maximum(step - boundary, 0)), tf.float32)
            rate = tf.where(step >= boundary, later, rate)
        return rate


class WSD(Schedule):
    """Warm up, stay, decay (Hu et al. 2024): the decay can begin whenever a run shall end.

    Args:
        learning_rate: The rate that stays.
        total_steps: Length of all three together.
        warmup_steps: Steps of the linear rise from 0.
        decay_steps: Steps of the fall at the end, positive.
        end_learning_rate: The last rate.
        shape: Of the fall: "linear", "cosine", or "sqrt" (`1 - sqrt`, Haegele et al. 2024).
    """

    def __init__(
        self,
        learning_rate: float,
        total_steps: int,
        *,
        warmup_steps: int = 0,
        decay_steps: int,
        end_learning_rate: float = 0.0,
        shape: str = "linear",
    ):
        super().__init__()
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.warmup_steps = check_count("warmup_steps", warmup_steps, 0)
        self.decay_steps = check_steps("decay_steps", decay_steps)
        if total_steps < warmup_steps + decay_steps:
            raise ValueError(
                f"total_steps={total_steps} is less than warmup_steps={warmup_steps} and "
                f"decay_steps={decay_steps} together."
            )
        self.end_learning_rate = end_learning_rate
        self.shape = check_shape(shape, ("linear", "cosine", "sqrt"))

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        step = number(step)
        rise = tf.minimum(step / self.warmup_steps, 1.0) if self.warmup_steps else 1.0
        start = self.total_steps - self.decay_steps
        part = tf.clip_by_value((step - start) / self.decay_steps, 0.0, 1.0)
        span = self.learning_rate - self.end_learning_rate
        fall = self.end_learning_rate + span * falling(part, self.shape)
        return rise * fall
