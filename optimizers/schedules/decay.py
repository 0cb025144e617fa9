"""Rates that fall: exponential, inverse time, polynomial, by steps, with the inverse root."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from optimizers.checks import check_count, check_steps
from optimizers.schedules.base import Schedule, number


class ExponentialDecay(Schedule):
    """`initial_learning_rate * decay_rate ^ (step / decay_steps)`.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Steps per factor of `decay_rate`, positive.
        decay_rate: The factor.
        staircase: Whether the exponent is rounded down.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        *,
        staircase: bool = False,
    ):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_steps("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        p = number(step) / self.decay_steps
        if self.staircase:
            p = tf.floor(p)
        return self.initial_learning_rate * tf.pow(tf.constant(self.decay_rate, tf.float32), p)


class InverseTimeDecay(Schedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: The unit of time, positive.
        decay_rate: How fast the rate falls.
        staircase: Whether `step / decay_steps` is rounded down.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        *,
        staircase: bool = False,
    ):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_steps("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        p = number(step) / self.decay_steps
        if self.staircase:
            p = tf.floor(p)
        return self.initial_learning_rate / (1.0 + self.decay_rate * p)


class PolynomialDecay(Schedule):
    """From one rate to another along `(1 - step / decay_steps) ^ power`; linear by default.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Steps until the end rate, positive.
        end_learning_rate: The rate from then on.
        power: Exponent.
        cycle: Whether `decay_steps` is stretched to its next multiple past its end, so that the
            rate rises again, rather than kept.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        *,
        cycle: bool = False,
    ):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_steps("decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        step = number(step)
        steps = tf.constant(self.decay_steps, tf.float32)
        if self.cycle:
            steps *= tf.maximum(1.0, tf.math.ceil(step / steps))
        left = 1.0 - tf.minimum(step, steps) / steps
        span = self.initial_learning_rate - self.end_learning_rate
        return span * tf.pow(left, self.power) + self.end_learning_rate


class Linear(Schedule):
    """A straight line from one rate to another, which then stays.

    Args:
        initial_learning_rate: Rate at step 0.
        end_learning_rate: Rate from step `steps` on.
        steps: Steps from one to the other, positive.
    """

    def __init__(self, initial_learning_rate: float, end_learning_rate: float, steps: int):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.end_learning_rate = end_learning_rate
        self.steps = check_steps("steps", steps)

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        part = tf.minimum(number(step) / self.steps, 1.0)
        return (1.0 - part) * self.initial_learning_rate + part * self.end_learning_rate


class PiecewiseConstantDecay(Schedule):
    """`values[i]` from after `boundaries[i - 1]` up to and including `boundaries[i]`.

    Args:
        boundaries: Increasing steps.
        values: Rates, one more than boundaries.

    Raises:
        ValueError: the lengths do not fit, or the boundaries do not increase.
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]):
        super().__init__()
        boundaries, values = list(boundaries), list(values)
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"values has {len(values)} entries for {len(boundaries)} boundaries: give one more "
                "than boundaries, the last for the time after them."
            )
        if any(b >= c for b, c in itertools.pairwise(boundaries)):
            raise ValueError(f"boundaries={boundaries} must increase.")
        self.boundaries = boundaries
        self.values = values

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        step = tf.cast(step, tf.int64)
        rate = tf.constant(self.values[0], tf.float32)
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            rate = tf.where(step > boundary, tf.constant(value, tf.float32), rate)
        return rate


class StepDecay(Schedule):
    """`initial_learning_rate * decay_rate ^ floor(step / step_size)`.

    Args:
        initial_learning_rate: Rate at step 0.
        step_size: Steps between two falls, positive.
        decay_rate: The factor of each fall.
    """

    def __init__(self, initial_learning_rate: float, step_size: int, decay_rate: float = 0.1):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.step_size = check_count("step_size", step_size)
        self.decay_rate = decay_rate

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        falls = number(tf.cast(step, tf.int64) // self.step_size)
        return self.initial_learning_rate * tf.pow(tf.constant(self.decay_rate, tf.float32), falls)


class RsqrtDecay(Schedule):
    """Up linearly for `warmup_steps`, then down with the inverse root of the step.

    `peak min(t / warmup_steps, sqrt(warmup_steps / t))` with `t = step + 1`: the schedule of the
    Transformer (Vaswani et al. 2017, section 5.3), with its highest rate for an argument.

    Args:
        peak_learning_rate: The highest rate, reached by update number `warmup_steps`.
        warmup_steps: Positive.
    """

    def __init__(self, peak_learning_rate: float, warmup_steps: int):
        super().__init__()
        self.peak_learning_rate = peak_learning_rate
        self.warmup_steps = check_steps("warmup_steps", warmup_steps)

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        t = (number(step) + 1.0) / self.warmup_steps
        return self.peak_learning_rate * tf.minimum(t, tf.math.rsqrt(t))
