"""Rates that fall along a cosine, once or again and again (Loshchilov & Hutter 2017)."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from optimizers.checks import check_least, check_steps
from optimizers.schedules.base import Schedule, number


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
        super().__init__()
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


class CosineDecayRestarts(Schedule):
    """Half cosines one after the other, each longer and lower (SGDR, Loshchilov & Hutter 2017).

    Args:
        initial_learning_rate: Highest rate of the first period.
        first_decay_steps: Its length, positive.
        t_mul: Each period is this many times longer than the last, at least 1.
        m_mul: And this many times higher.
        alpha: The last rate of a period as a fraction of `initial_learning_rate`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
    ):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = check_steps("first_decay_steps", first_decay_steps)
        self.t_mul = check_least("t_mul", t_mul, 1.0)
        self.m_mul = m_mul
        self.alpha = alpha

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at `step`."""
        time = number(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            period = tf.floor(time)
            part = time - period
        else:
            period = tf.floor(tf.math.log1p(time * (self.t_mul - 1.0)) / math.log(self.t_mul))
            part = self._part(time, period)
            # A logarithm may fall on the wrong side of a restart.
            period += tf.cast(part >= 1.0, tf.float32) - tf.cast(part < 0.0, tf.float32)
            part = self._part(time, period)
        highest = tf.pow(tf.constant(self.m_mul, tf.float32), period)
        cosine = 0.5 * highest * (1.0 + tf.cos(math.pi * part))
        return self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)

    def _part(self, time: tf.Tensor, period: tf.Tensor) -> tf.Tensor:
        length = tf.pow(tf.constant(self.t_mul, tf.float32), period)
        return (time - (length - 1.0) / (self.t_mul - 1.0)) / length
