"""What a schedule is, and the constant one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


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


def number(step: Any) -> tf.Tensor:
    """The step as a float32 scalar tensor."""
    return tf.cast(step, tf.float32)


def as_schedule(value: Any) -> Any:
    """A schedule as it is, a number as a constant one."""
    return value if callable(value) else Constant(value)
