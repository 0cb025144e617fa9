"""What a schedule is, and the constant one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from optimizers.variables import local


class Schedule(tf.Module):
    """A learning rate that depends on the step: subclasses define `__call__`.

    Variables in it (`Warmup(tf.Variable(0.1), 100)`) are read anew at each update, and checkpoints
    hold them with the optimizer.
    """

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of the update after `step` updates.

        Args:
            step: A scalar, from 0.

        Returns:
            A float32 scalar tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step).")

    def __repr__(self) -> str:
        own = {k: v for k, v in vars(self).items() if not k.startswith("_")}
        arguments = ", ".join(f"{k}={v!r}" for k, v in own.items())
        return f"{type(self).__name__}({arguments})"


class Constant(Schedule):
    """The same rate at every step.

    Args:
        learning_rate: The rate: a number, or a scalar `tf.Variable`.
    """

    def __init__(self, learning_rate: float | tf.Variable):
        super().__init__()
        self.learning_rate = learning_rate

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate, whatever the step."""
        del step
        if isinstance(self.learning_rate, tf.Variable):
            return tf.cast(local(self.learning_rate), tf.float32)
        return tf.constant(self.learning_rate, tf.float32)


def number(step: Any) -> tf.Tensor:
    """The step as a float32 scalar tensor."""
    return tf.cast(step, tf.float32)


def as_schedule(value: Any) -> Any:
    """A schedule as it is, a number or a variable as a constant one."""
    return value if callable(value) else Constant(value)
