"""Learning rates as functions of the step, traced in the graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from optimizers.checks import check_steps


class Schedule:
    """A learning rate that depends on the step: subclasses define `__call__`."""

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of the update after `step` updates.

        Args:
            step: A scalar, from 0.

        Returns:
            A float32 scalar tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step).")

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({arguments})"


class Constant(Schedule):
    """The same rate at every step.

    Args:
        learning_rate: The rate.
    """

    def __init__(self, learning_rate: float):
        self.learning_rate = learning_rate

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate, whatever the step."""
        del step
        return tf.constant(self.learning_rate, tf.float32)


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


class PiecewiseConstantDecay(Schedule):
    """`values[i]` from after `boundaries[i - 1]` up to and including `boundaries[i]`.

    Args:
        boundaries: Increasing steps.
        values: Rates, one more than boundaries.

    Raises:
        ValueError: the lengths do not fit, or the boundaries do not increase.
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]):
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


class CosineDecay(Schedule):
    """Half a cosine from a rate to `alpha` times it (Loshchilov & Hutter 2017), perhaps warmed up.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Steps of the decay, after the warm-up; positive.
        alpha: The last rate as a fraction of the highest.
        warmup_target: Rate that a linear warm-up of `warmup_steps` reaches, and the decay starts
            from; None: no warm-up.
        warmup_steps: Steps of the warm-up; positive with a `warmup_target`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        *,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_steps("decay_steps", decay_steps)
        self.alpha = alpha
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps
        if (warmup_target is not None) != (warmup_steps > 0):
            raise ValueError(
                f"warmup_target={warmup_target} and warmup_steps={warmup_steps} go together: a "
                "target and a positive number of steps, or neither."
            )

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        step = number(step)
        if self.warmup_target is None:
            return self._decayed(step, self.initial_learning_rate)
        rise = (self.warmup_target - self.initial_learning_rate) * (step / self.warmup_steps)
        return tf.where(
            step < self.warmup_steps,
            rise + self.initial_learning_rate,
            self._decayed(step - self.warmup_steps, self.warmup_target),
        )

    def _decayed(self, step: tf.Tensor, highest: float) -> tf.Tensor:
        fraction = tf.clip_by_value(step, 0.0, self.decay_steps) / self.decay_steps
        cosine = 0.5 * (1.0 + tf.cos(math.pi * fraction))
        return highest * ((1.0 - self.alpha) * cosine + self.alpha)


class Warmup(Schedule):
    """A linear rise to any schedule or rate, which starts (at its own step 0) when the rise ends.

    Args:
        schedule: What follows: a schedule, or a number.
        steps: Steps of the rise, positive.
        start: Rate at step 0.
    """

    def __init__(self, schedule: float | Callable, steps: int, *, start: float = 0.0):
        self.schedule = schedule if callable(schedule) else Constant(schedule)
        self.steps = check_steps("steps", steps)
        self.start = start

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        after = tf.maximum(tf.cast(step, tf.int64) - int(self.steps), 0)
        rate = tf.cast(self.schedule(after), tf.float32)
        fraction = tf.minimum(number(step) / self.steps, 1.0)
        return tf.where(fraction < 1.0, self.start + (rate - self.start) * fraction, rate)


def number(step: Any) -> tf.Tensor:
    """The step as a float32 scalar tensor."""
    return tf.cast(step, tf.float32)
