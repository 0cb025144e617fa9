"""Learning rate and weight decay: numbers that can be set, schedules, or variables of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from optimizers.checks import check_decay, check_rate
from optimizers.variables import local


def once(
    rate: tf.Tensor, made: dict[int, tf.Tensor], make: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """`make(rate)`, computed once for all variables that have the same rate.

    Args:
        rate: Of a variable.
        made: What was made in this update, by the identity of the rate.
        make: What is made of it.
    """
    if id(rate) not in made:
        made[id(rate)] = make(rate)
    return made[id(rate)]


class Rates:
    """What an optimizer reads anew at each update, so that setting it retraces nothing."""

    iterations: tf.Variable

    def __init__(self, learning_rate: Any, weight_decay: Any) -> None:
        if not (callable(learning_rate) or isinstance(learning_rate, tf.Variable)):
            learning_rate = check_rate(learning_rate)
        self._learning_rate = held("learning_rate", learning_rate)
        self._weight_decay = held("weight_decay", check_decay(weight_decay))

    @property
    def learning_rate(self) -> tf.Tensor:
        """The rate of the next update, a float32 scalar tensor."""
        return self._now(self._learning_rate)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        """Set the rate, with no retracing of compiled functions."""
        put("learning_rate", self._learning_rate, value)

    @property
    def weight_decay(self) -> tf.Tensor | None:
        """The decay of the next update, a float32 scalar tensor; None where there is none."""
        return None if self._weight_decay is None else self._now(self._weight_decay)

    @weight_decay.setter
    def weight_decay(self, value: float) -> None:
        """Set the decay, with no retracing of compiled functions."""
        put("weight_decay", self._weight_decay, value)

    @property
    def schedule(self) -> Callable | None:
        """The schedule, where the rate has one."""
        return None if isinstance(self._learning_rate, tf.Variable) else self._learning_rate

    def rate_variables(self) -> list[tf.Variable]:
        """The variables that hold them, where no schedule gives them."""
        both = (self._learning_rate, self._weight_decay)
        return [value for value in both if isinstance(value, tf.Variable)]

    def _now(self, value: Any, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """A number, a variable, or what a schedule says at this step."""
        if isinstance(value, tf.Variable):
            value = local(value)
        elif callable(value):
            value = value(tf.convert_to_tensor(local(self.iterations)))
        # Read here, once: `tf.cast` gives a variable of that dtype back as it is.
        return tf.cast(tf.convert_to_tensor(value), dtype)


def held(name: str, value: Any) -> Any:
    """A number as a variable; None, a schedule and a variable as they are."""
    if value is None or callable(value) or isinstance(value, tf.Variable):
        return value
    return tf.Variable(value, trainable=False, dtype=tf.float32, name=name)


def put(name: str, kept: Any, value: Any) -> None:
    """Assigns a number to what `held` gave.

    Raises:
        TypeError: no variable is there to assign to, or the value is a schedule.
    """
    if kept is None:
        raise TypeError(
            f"{name}={value} cannot be set: it was None, and compiled functions were traced "
            "without it. Build the optimizer with a number, 0.0 say, to set it later."
        )
    if not isinstance(kept, tf.Variable):
        raise TypeError(
            f"{name}={value} cannot replace the schedule {kept!r}: compiled functions hold it. "
            "Build the optimizer with a number to set it later."
        )
    if value is None or (callable(value) and not isinstance(value, tf.Variable)):
        raise TypeError(
            f"{name} cannot become {'None' if value is None else 'a schedule'} after the optimizer "
            "was made with a number: compiled functions would not see it. Pass it to the "
            "constructor."
        )
    kept.assign(value)
