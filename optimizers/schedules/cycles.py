"""Rates that rise and fall: one cycle (Smith & Topin 2018) and many (Smith 2017)."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from optimizers.checks import check_steps
from optimizers.schedules.base import Schedule, number


class OneCycle(Schedule):
    """Up to a high rate, then down far below the first one (super-convergence).

    Args:
        max_learning_rate: The highest rate.
        total_steps: Length of the cycle, positive; the last rate stays.
        warmup_fraction: The part of it that rises, in (0, 1).
        initial_divisor: The first rate is the highest over this.
        final_divisor: The last rate is the first over this.
        shape: "cosine" or "linear".
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        *,
        warmup_fraction: float = 0.3,
        initial_divisor: float = 25.0,
        final_divisor: float = 1e4,
        shape: str = "cosine",
    ):
        super().__init__()
        self.max_learning_rate = max_learning_rate
        self.total_steps = check_steps("total_steps", total_steps)
        if not 0.0 < warmup_fraction < 1.0:
            raise ValueError(f"warmup_fraction={warmup_fraction} must lie in (0, 1).")
        self.warmup_fraction = warmup_fraction
        self.initial_divisor = initial_divisor
        self.final_divisor = final_divisor
        self.shape = check_shape(shape, ("cosine", "linear"))

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        step, top = number(step), self.total_steps * self.warmup_fraction
        first = self.max_learning_rate / self.initial_divisor
        last = first / self.final_divisor
        up = falling(1.0 - tf.minimum(step / top, 1.0), self.shape)
        down = falling(tf.clip_by_value((step - top) / (self.total_steps - top), 0, 1), self.shape)
        return tf.where(
            step < top,
            first + (self.max_learning_rate - first) * up,
            last + (self.max_learning_rate - last) * down,
        )


class Cyclical(Schedule):
    """Triangles between two rates (Smith 2017).

    Args:
        initial_learning_rate: The lowest rate.
        max_learning_rate: The highest.
        step_size: Steps of a rise, and of a fall; positive.
        shrink: By what the height is multiplied from one cycle to the next ("triangular2": 0.5).
        gamma: By what it is multiplied at every step ("exp_range").
    """

    def __init__(
        self,
        initial_learning_rate: float,
        max_learning_rate: float,
        step_size: int,
        *,
        shrink: float = 1.0,
        gamma: float = 1.0,
    ):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.max_learning_rate = max_learning_rate
        self.step_size = check_steps("step_size", step_size)
        self.shrink = shrink
        self.gamma = gamma

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        step = number(step)
        cycle = tf.floor(step / (2.0 * self.step_size))
        height = 1.0 - tf.abs(step / self.step_size - 2.0 * cycle - 1.0)
        height *= tf.pow(tf.constant(self.shrink, tf.float32), cycle)
        height *= tf.pow(tf.constant(self.gamma, tf.float32), step)
        span = self.max_learning_rate - self.initial_learning_rate
        return self.initial_learning_rate + span * height


def falling(part: tf.Tensor, shape: str) -> tf.Tensor:
    """From 1 at part 0 to 0 at part 1, along a "cosine", a "linear" line or "sqrt" (1 - root)."""
    if shape == "cosine":
        return 0.5 * (1.0 + tf.cos(math.pi * part))
    return 1.0 - tf.sqrt(part) if shape == "sqrt" else 1.0 - part


def check_shape(shape: str, known: tuple[str, ...]) -> str:
    """The name of a shape, when it is known."""
    if shape not in known:
        raise ValueError(f"shape={shape!r} must be one of {', '.join(map(repr, known))}.")
    return shape
