"""The loss scale of float16: its settings, its state per optimizer, and who overflowed when.

Gradients below 6e-8 are zero in float16. The loss is multiplied by a scale before they are taken,
and they are divided by it once they are float32. An update with a gradient that is not finite is
left out and halves the scale; many finite ones in a row double it (Micikevicius et al. 2018).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from trainer import state
from trainer.gradients import sum_of
from trainer.update import Update


@dataclasses.dataclass(frozen=True)
class LossScale:
    """How the loss is scaled.

    Doubling and halving are Keras's `LossScaleOptimizer`; limits are ours: there the scale may grow
    to infinity, from which it never comes back.

    Args:
        initial_scale: the first scale. A power of two, so that scaling rounds nothing.
        dynamic_growth_steps: after so many finite updates in a row the scale doubles.
        dynamic: False: the scale stays as it is; updates that are not finite are left out all the
            same.
        minimum: the scale is not halved below it. Under 1 it makes large gradients small; 2**-14,
            the smallest normal number of float16, leaves a gradient of 1 nothing to lose.
        maximum: the scale is not doubled above it.

    Raises:
        ValueError: a value is out of range.

    Example:
        >>> LossScale(2.0**10, dynamic_growth_steps=500).initial_scale
        1024.0
    """

    initial_scale: float = 2.0**15
    dynamic_growth_steps: int = dataclasses.field(default=2000, kw_only=True)
    dynamic: bool = dataclasses.field(default=True, kw_only=True)
    minimum: float = dataclasses.field(default=2.0**-14, kw_only=True)
    maximum: float = dataclasses.field(default=2.0**24, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("initial_scale", "minimum", "maximum"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and 0.0 < value <= 2.0**126):
                raise ValueError(f"LossScale({name}={value!r}): it is a number in (0, 2**126].")
            mantissa, _ = math.frexp(value)
            if mantissa != 0.5:
                near = 2.0 ** round(math.log2(value))
                raise ValueError(
                    f"LossScale({name}={value!r}): it is a power of two, so that scaling the loss "
                    f"rounds nothing; the nearest is {near:g}."
                )
        steps = self.dynamic_growth_steps
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise ValueError(
                f"LossScale(dynamic_growth_steps={steps!r}): it is a whole number from 1 on."
            )
        if self.dynamic and not self.minimum <= self.initial_scale <= self.maximum:
            raise ValueError(
                f"LossScale(initial_scale={self.initial_scale:g}) is outside [minimum="
                f"{self.minimum:g}, maximum={self.maximum:g}]; move the limit or the start."
            )


class Overflow(NamedTuple):
    """How often a variable's gradient was not finite.

    Attributes:
        variable: its path in the task.
        times: in so many updates, all of them left out.
        first: the first such step, from 1.
        last: the last such step.
        optimizer: the path of the optimizer whose update it was.
    """

    variable: str
    times: int
    first: int
    last: int
    optimizer: str


class Scaler:
    """The loss scale of one optimizer, in variables that live in the compiled loop.

    Args:
        settings: how it moves.
        optimizer: the optimizer's path in the task.
        known: path -> variable, of all whose overflows are counted.
    """

    def __init__(
        self, settings: LossScale, optimizer: str, known: Mapping[str, tf.Variable]
    ) -> None:
        self.settings = settings
        self.optimizer = optimizer
        self.scale = _variable(settings.initial_scale, tf.float32, "scale")
        self.streak = _variable(0, tf.int64, "streak")  # finite updates since the scale moved
        self.skipped = _variable(0, tf.int64, "skipped")
        self.forward = _variable(0, tf.int64, "forward")  # of these, the loss was not finite either
        self._names = list(known)
        self._index = {id(v): i for i, v in enumerate(known.values())}
        zeros = [0] * len(known)
        self.times = _variable(zeros, tf.int64, "times")
        self.first = _variable(zeros, tf.int64, "first")
        self.last = _variable(zeros, tf.int64, "last")

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """Everything that a checkpoint keeps, by name."""
        names = ("scale", "streak", "skipped", "forward", "times", "first", "last")
        return {name: getattr(self, name) for name in names}

    def apply_if_finite(self, optimizer: Any, result: Update, step: Any) -> tf.Tensor:
        """Applies an update, or leaves it out, and moves the scale.

        Args:
            optimizer: whose `apply` and everything in it is left out.
            result: the update, taken under the scale.
            step: the number of the step, from 0.

        Returns:
            1 where it was left out, else 0: a float32 scalar.
        """

        def apply() -> tf.Tensor:
            optimizer.apply(result.gradients, result.variables)
            if self.settings.dynamic:
                self._grow()
            return tf.constant(0.0)

        def skip() -> tf.Tensor:
            for variable, value in zip(result.variables, result.origin or (), strict=False):
                state.as_tf(variable).assign(value)
            self._count(result, step)
            if self.settings.dynamic:
                self._shrink()
            return tf.constant(1.0)

        return tf.cond(result.finite, apply, skip)

    def overflows(self) -> list[Overflow]:
        """What was counted, the most frequent first."""
        columns = (self.times.numpy(), self.first.numpy(), self.last.numpy())
        rows = [
            Overflow(name, int(times), int(first), int(last), self.optimizer)
            for name, times, first, last in zip(self._names, *columns, strict=True)
        ]
        return sorted((r for r in rows if r.times), key=lambda r: -r.times)

    def _grow(self) -> None:
        due = tf.equal(self.streak, self.settings.dynamic_growth_steps - 1)
        doubled = tf.minimum(2.0 * self.scale, self.settings.maximum)
        self.scale.assign(tf.where(due, doubled, self.scale))
        self.streak.assign(tf.where(due, tf.zeros_like(self.streak), self.streak + 1))

    def _shrink(self) -> None:
        self.scale.assign(tf.maximum(0.5 * self.scale, self.settings.minimum))
        self.streak.assign(0)

    def _count(self, result: Update, step: Any) -> None:
        """Notes which variables it was: only in an update that is left out, so at no cost else."""
        self.skipped.assign_add(1)
        lost = tf.logical_not(tf.math.is_finite(result.loss.total))
        self.forward.assign_add(tf.cast(lost, tf.int64))
        hit = [tf.constant(False)] * len(self._names)
        for group in result.sums:
            for variable, gradient in zip(result.variables, group, strict=True):
                if gradient is None:
                    continue
                i = self._index[id(state.as_tf(variable))]
                bad = tf.logical_not(tf.math.is_finite(sum_of(gradient)))
                hit[i] = tf.logical_or(hit[i], bad)
        flags, number = tf.stack(hit), tf.cast(step, tf.int64) + 1
        self.first.assign(tf.where(flags & tf.equal(self.times, 0), number, self.first))
        self.last.assign(tf.where(flags, number, self.last))
        self.times.assign_add(tf.cast(flags, tf.int64))


def _variable(value: Any, dtype: tf.DType, name: str) -> tf.Variable:
    return tf.Variable(value, trainable=False, dtype=dtype, name=name)
