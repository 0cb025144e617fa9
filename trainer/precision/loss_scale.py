"""The loss scale of float16: its settings, its state per optimizer, and who overflowed when.

Gradients below 6e-8 are zero in float16. The loss is multiplied by a scale before they are taken,
and they are divided by it once they are float32. An update with a gradient that is not finite is
left out and halves the scale; many finite ones in a row double it (Micikevicius et al. 2018).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer import state
from trainer.distribution.replica import own
from trainer.gradients import sum_of
from trainer.precision.overflows import Overflow, Overflows
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


class Scalers:
    """The loss scales of a trainer, one for each optimizer of its task.

    Args:
        settings: how each moves; None: no loss is scaled.
    """

    def __init__(self, settings: LossScale | None) -> None:
        self.settings = settings
        self._found: dict[int, Scaler] = {}

    def build(self, task: Any) -> None:
        """Makes the scales of optimizers that have none yet, outside of any trace.

        Raises:
            ValueError: one of Keras's would divide gradients by a scale of its own.
        """
        optimizers: dict[str, Any] = {}
        for path, node in state.walk(task):
            within = any(path.startswith(f"{outer}/") for outer in optimizers)
            if state.is_optimizer(node) and not isinstance(node, tf.Variable) and not within:
                _refuse_own_scale(node)
                optimizers[path] = node
        if self.settings is None:
            return
        known = {p: v for p, v in state.model_variables(task).items() if v.trainable}
        for path, optimizer in optimizers.items():
            if id(optimizer) not in self._found:
                self._found[id(optimizer)] = Scaler(self.settings, path, known)

    def of(self, optimizer: Any) -> Scaler | None:
        """The scale of an optimizer, None where no loss is scaled.

        Raises:
            ValueError: the optimizer cannot be found from the task.
        """
        if self.settings is None:
            return None
        if id(optimizer) not in self._found:
            raise ValueError(
                f"ctx.minimize got the optimizer {optimizer!r}, which is no attribute of the task: "
                "under float16 each optimizer has a loss scale, which must be built and saved with "
                "it. Keep it in an attribute of the task (lists and dicts will do)."
            )
        return self._found[id(optimizer)]

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """Everything that a checkpoint keeps, by path."""
        return {
            f"loss_scale/{scaler.optimizer}/{name}": variable
            for scaler in self._found.values()
            for name, variable in scaler.variables.items()
        }

    @property
    def overflows(self) -> Overflows:
        """What overflowed so far."""
        return Overflows(list(self._found.values()))


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
                own(state.as_tf(variable)).assign(value)
            self._count(result, step)
            if self.settings.dynamic:
                self._shrink()
            return tf.constant(1.0)

        return tf.cond(result.finite, apply, skip)

    def overflows(self) -> list[Overflow]:
        """What was counted, in the order of the variables."""
        columns = (self.times.numpy(), self.first.numpy(), self.last.numpy())
        rows = [
            Overflow(name, int(times), int(first), int(last), self.optimizer)
            for name, times, first, last in zip(self._names, *columns, strict=True)
        ]
        return [row for row in rows if row.times]

    def _grow(self) -> None:
        scale, streak = own(self.scale), own(self.streak)
        due = tf.equal(streak, self.settings.dynamic_growth_steps - 1)
        doubled = tf.minimum(2.0 * scale, self.settings.maximum)
        scale.assign(tf.where(due, doubled, scale))
        streak.assign(tf.where(due, tf.zeros_like(streak), streak + 1))

    def _shrink(self) -> None:
        scale = own(self.scale)
        scale.assign(tf.maximum(0.5 * scale, self.settings.minimum))
        own(self.streak).assign(0)

    def _count(self, result: Update, step: Any) -> None:
        """Notes which variables it was: only in an update that is left out, so at no cost else.

        Of variables that are not among the task's trainable ones nothing is noted.
        """
        own(self.skipped).assign_add(1)
        lost = tf.logical_not(tf.math.is_finite(result.loss.total))
        own(self.forward).assign_add(tf.cast(lost, tf.int64))
        hit = [tf.constant(False)] * len(self._names)
        for group in result.sums:
            for variable, gradient in zip(result.variables, group, strict=True):
                i = self._index.get(id(state.as_tf(variable)))
                if gradient is None or i is None:
                    continue
                bad = tf.logical_not(tf.math.is_finite(sum_of(gradient)))
                hit[i] = tf.logical_or(hit[i], bad)
        if not hit:
            return
        flags, number = tf.stack(hit), tf.cast(step, tf.int64) + 1
        times, first, last = own(self.times), own(self.first), own(self.last)
        first.assign(tf.where(flags & tf.equal(times, 0), number, first))
        last.assign(tf.where(flags, number, last))
        times.assign_add(tf.cast(flags, tf.int64))


def _refuse_own_scale(optimizer: Any) -> None:
    """Refuses a Keras optimizer that would divide gradients by what they were not multiplied by."""
    if hasattr(optimizer, "scale_loss") and hasattr(optimizer, "inner_optimizer"):
        raise ValueError(
            f"optimizer={type(optimizer).__name__} keeps a loss scale of its own; pass its "
            "inner_optimizer, and precision='mixed_float16' to the Trainer, which scales the loss "
            "(settings: Precision('float16', loss_scale=LossScale(...)))."
        )
    if getattr(optimizer, "loss_scale_factor", None) is not None:
        raise ValueError(
            f"the optimizer has loss_scale_factor={optimizer.loss_scale_factor}; leave it None and "
            "pass precision=Precision('float16', loss_scale=...) to the Trainer, which scales the "
            "loss and divides the gradients."
        )


def _variable(value: Any, dtype: tf.DType, name: str) -> tf.Variable:
    return tf.Variable(value, trainable=False, dtype=dtype, name=name)
