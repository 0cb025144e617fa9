"""Patient: a task, a batch of its data, and ways of running its steps without any update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import state
from trainer.context import StepContext
from trainer.inspect.watch import Watch
from trainer.programs import Programs
from trainer.sums import Sums
from trainer.supervised import Supervised
from trainer.task import Task

_NUMBER = 10**6  # of the steps that are tried: seeds that no real step will use soon


class Minimized(NamedTuple):
    """What one call of `ctx.minimize` would have done."""

    loss: Sums
    gradients: list[Any]
    variables: list[Any]


class Patient:
    """What the checks of a doctor look at; all of it runs eagerly, on a few rows.

    Args:
        task: built.
        programs: of a scratch trainer.
        batch: the first batch of the data, eager tensors.

    Attributes:
        batch: the first batch.
        rows: how many rows it has.
    """

    def __init__(self, task: Task, programs: Programs, batch: Any) -> None:
        self.task, self.programs, self.batch = task, programs, batch
        self.rows = int(tf.nest.flatten(batch)[0].shape[0])

    def take(self, rows: int) -> Any:
        """The first rows of the batch."""
        return tf.nest.map_structure(lambda x: x[:rows] if x.shape.rank else x, self.batch)

    def minimized(self, batch: Any, *, number: int = _NUMBER) -> list[Minimized]:
        """What each `ctx.minimize` of a training step would do, on this batch taken whole."""
        probe = _Probing()
        self.programs.steps.of("train", probe.context)(batch, tf.constant(number, tf.int64))
        return probe.found

    def watched(
        self,
        verb: str,
        batch: Any,
        *,
        number: int = _NUMBER,
        before: Callable[..., Any] | None = None,
    ) -> tuple[Watch, list[Minimized]]:
        """Runs a step under watch: its calls of modules, and of minimize; all values are put back.

        Random layers that count their calls in a variable, as Keras's do, so draw the same again,
        except for another `number`.
        """
        probe = _Probing()
        with state.untouched(self.task), Watch(self.task, before=before) as watch:
            for variable in counters(self.task):
                variable.assign_add(tf.cast(tf.fill(variable.shape, number), variable.dtype))
            self.programs.steps.of(verb, probe.context)(batch, tf.constant(number, tf.int64))
        return watch, probe.found

    def other_rows(self, batch: Any, keep: int) -> Any:
        """The batch with all rows from `keep` on replaced by copies of the first one."""

        def replaced(x: Any) -> Any:
            if not x.shape.rank:
                return x
            copies = tf.repeat(x[:1], x.shape[0] - keep, axis=0)
            return tf.concat([x[:keep], copies], 0)

        return tf.nest.map_structure(replaced, batch)

    @property
    def inference(self) -> str | None:
        """The verb that runs the model as it is used after training; None: the task has none."""
        if isinstance(self.task, Supervised) or _overrides(self.task, "predict_step"):
            return "predict"
        return "evaluate" if _overrides(self.task, "eval_step") else None


class _Probing:
    """Keeps what `minimize` was asked to do; nothing is updated."""

    def __init__(self) -> None:
        self.found: list[Minimized] = []

    def context(self, *args: Any, **kwargs: Any) -> StepContext:
        """A `StepContext` whose optimizers stand still."""
        probe = self
        kwargs["parts"] = 1
        kwargs["scaler"] = lambda optimizer: None  # nothing is updated, so nothing is left out

        class Context(StepContext):
            def minimize(
                self,
                loss_fn: Callable[[Any], Any],
                batch: Any,
                optimizer: Any,
                variables: Sequence[Any],
            ) -> Any:
                still = _Still()
                result = super().minimize(loss_fn, batch, still, variables)
                loss = result[0] if isinstance(result[-1], dict) else result
                probe.found.append(Minimized(loss, still.gradients, still.variables))
                return result

        return Context(*args, **kwargs)


class _Still:
    """An optimizer that keeps the gradients and changes nothing."""

    def apply(self, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        self.gradients, self.variables = list(gradients), list(variables)


def _overrides(task: Task, name: str) -> bool:
    return getattr(type(task), name) is not getattr(Task, name)


def same(a: Any, b: Any, *, tolerance: float = 1e-5) -> bool:
    """Whether two arrays hold the same numbers, up to rounding; NaN equals NaN."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if a.dtype.kind in "biuOS":
        return bool(np.array_equal(a, b))
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        room = tolerance * max(1e-12, np.nanmax(np.abs(a), initial=0.0))
        near = (np.abs(a - b) <= room) | (a == b) | (np.isnan(a) & np.isnan(b))
    return bool(near.all())


def counters(task: Task) -> list[Any]:
    """Variables of whole numbers in Keras models: the states of random layers."""
    return [
        v
        for path, v in state.variables(task).items()
        if "seed_generator_state" in path and not v.dtype.is_floating
    ]


def name_of(task: Task, variable: Any) -> str:
    """Where a variable stands in the task, as in its checkpoints."""
    for path, found in state.variables(task).items():
        if found is state.as_tf(variable):
            return path
    return state.name_of(variable)
