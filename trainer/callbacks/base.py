"""Callback: says when it wants to be called, reads a report, may ask the run to stop."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from trainer.callbacks.triggers import Every, Trigger

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.inspect.replay import Planned
    from trainer.instruments import Instrument, Readings
    from trainer.task import Task


@dataclasses.dataclass(frozen=True)
class Control:
    """What a callback asks of the run.

    Attributes:
        stop: why the run should end here, or None to go on.
        save: whether a checkpoint should be taken here (if the trainer takes any).
    """

    stop: str | None = None
    save: bool = False


class Run(Protocol):
    """What a callback may know of the run before it starts, and do to it at a boundary.

    A callback changes what is trained by assigning to variables: a compiled step reads them anew
    at each call, so nothing is traced again, and a checkpoint holds them. The learning rate is
    `run.optimizers["optimizer"].learning_rate = 1e-4`.
    """

    @property
    def task(self) -> Task:
        """What is trained; all of its variables may be read and assigned to."""
        ...

    @property
    def optimizers(self) -> Mapping[str, Any]:
        """Path in the task -> optimizer: "optimizer" when a model is trained."""
        ...

    @property
    def chief(self) -> bool:
        """Whether this worker is the one that writes; True where there is one."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Of the values that reports will carry: "loss", "accuracy", "f1_0", "val_loss"."""
        ...

    @property
    def step_names(self) -> Sequence[str]:
        """Those of them that `Report.steps` will carry: what each step has a value of."""
        ...

    @property
    def monitored(self) -> Mapping[str, str]:
        """Metric name -> "min" or "max", for those whose direction is known."""
        ...

    @property
    def start_step(self) -> int:
        """Where this fit began: 0, or where an earlier one ended."""
        ...

    @property
    def step(self) -> int:
        """Where training stands: `start_step` when a fit begins, later when it is resumed."""
        ...

    @property
    def epoch(self) -> int:
        """Epochs completed so far."""
        ...

    @property
    def seconds(self) -> float:
        """Since this fit began in this process."""
        ...

    @property
    def total_steps(self) -> int | None:
        """The step at which this fit will end, when known."""
        ...

    @property
    def epochs(self) -> int | None:
        """The epoch count at which this fit will end, when asked for in epochs."""
        ...

    @property
    def steps_per_epoch(self) -> int | None:
        """How long an epoch is, when known."""
        ...

    @property
    def validates(self) -> bool:
        """Whether validation data was given."""
        ...

    @property
    def graph(self) -> tf.Graph | None:
        """The traced graph of a training step; None before the first is made."""
        ...

    @property
    def rows(self) -> int | None:
        """Examples of a step; None before the first."""
        ...

    @property
    def flops(self) -> float | None:
        """Floating-point operations of a step, where its graph tells them; None elsewhere.

        Those of matrix products; a step with convolutions, or with loops whose turns are not
        known, is not told.
        """
        ...

    def save_weights(self, path: Any) -> None:
        """Writes the model's weights, those that validation uses, to one file."""
        ...

    def export(self, path: Any) -> None:
        """Writes a SavedModel with the weights that validation uses."""
        ...

    def predict(self, x: Any, batch_size: int | None = None) -> Any:
        """The model's outputs for `x`, with the weights that validation uses."""
        ...

    @property
    def variables(self) -> Mapping[str, tf.Variable]:
        """All trained state (weights, slots, loss scales), by its names in a checkpoint."""
        ...

    def snapshot(self) -> Any:
        """A copy of all trained state as it is now."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Puts the model's weights of a snapshot back."""
        ...

    def wait_for_checkpoints(self) -> None:
        """Returns when all that were taken are on disk."""
        ...

    def good_state(self) -> Any:
        """Where the run can be taken back to by `rewind`."""
        ...

    def rewind(self, good: Any) -> None:
        """Puts all trained state back; steps keep their numbers, and data goes on where it is."""
        ...


@dataclasses.dataclass(frozen=True)
class Report:
    """What the run tells a callback at a boundary.

    Attributes:
        step: updates made so far, over all calls of fit.
        epoch: epochs completed so far.
        epoch_end: whether an epoch has ended at this step.
        steps: name -> values `[n]` of each step since this callback was last called (float64), with
            `"step"` (int64): the step's number, counted from 1.
        logs: means over the epoch so far (over the whole epoch when `epoch_end`), with the values
            of this step's validation, if any, as `val_...`, and the `learning_rate` now.
        validation: this step's validation values, `val_...`; empty when none ran at this step.
        seconds: since fit began.
        steps_per_second: recent speed, compilation left out; None before it is known.
        run: the run itself.
        epoch_step: updates made in the epoch, over its whole length when `epoch_end`; None when
            the run does not say.
        arrays: what `logs` would hold if it could: values of two axes or more, such as a confusion
            matrix, `val_...` where they are of this step's validation.
        readings: instrument -> what it has read since this callback was last called; of all
            callbacks' instruments, and only of those that were due.
        time: where the seconds since fit began went: "step", "input", ... (`trainer.clock.PARTS`).
    """

    step: int
    epoch: int
    epoch_end: bool
    steps: Mapping[str, np.ndarray]
    logs: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: float
    steps_per_second: float | None
    run: Run
    epoch_step: int | None = None
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    readings: Mapping[Instrument, Readings] = dataclasses.field(default_factory=dict)
    time: Mapping[str, float] = dataclasses.field(default_factory=dict)


class Callback:
    """Override `__call__`; set `when`.

    A callback runs on the host, between two compiled calls; it never costs a synchronisation per
    step, because the loop runs as many steps as the nearest trigger allows in one call and the
    values of each step come back together, in `report.steps`.

    Of several workers each calls its own callbacks, with the same reports at the same steps; set
    `chief_only` to True where only one of them should, as it writes a file.
    """

    when: Trigger = Every(epochs=1)
    writes_to: tuple[str, ...] = ()  # attributes that hold a path: a dry run turns them elsewhere
    chief_only: bool = False  # it only writes: of several workers the first alone calls it
    rehearsed: bool = False  # it is a dry run's copy, whose instruments read every step

    @property
    def monitors(self) -> Sequence[str]:
        """Names that reports must carry; a missing one is refused before training starts."""
        return ()

    @property
    def instruments(self) -> Sequence[Instrument]:
        """What is to be read of steps inside the compiled program; see `trainer.instruments`."""
        return ()

    def on_train_begin(self, run: Run) -> None:
        """Called once per fit, before the first step."""

    def before_call(self, planned: Planned) -> None:
        """Called before each compiled call, with what it is going to do; see `Planned`.

        Where it is not overridden, it costs nothing.
        """

    def __call__(self, report: Report) -> Control | None:
        """Called when due."""
        return None

    def evaluating(self, run: Run) -> AbstractContextManager[Any]:
        """Entered around whatever the run evaluates or writes of the model: validation, files.

        A callback may put other weights in place meanwhile; afterwards training goes on with what
        it puts back.
        """
        return nullcontext()

    def rehearse(self, step: int) -> None:
        """Called on the copy that a dry run makes, before anything else.

        It is called at every boundary and its instruments read every step; what it would do at a
        later step only, it must do at this one.
        """

    def on_train_end(self, report: Report) -> None:
        """Called once per fit, after the last step, also when fit ends by an error or Ctrl-C."""

    def memory(self) -> Mapping[str, Any]:
        """What a checkpoint must hold of this callback: numbers, strings, arrays, nests of them."""
        return {}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Puts back what `memory` gave; called after `on_train_begin` when a run is resumed."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(_kept(self))})"


def _kept(callback: Callback) -> Iterator[str]:
    """The constructor's plain arguments that are not as by default, and when it is due."""
    for name, parameter in inspect.signature(type(callback)).parameters.items():
        value = getattr(callback, name, parameter.default)
        if isinstance(value, (str, int, float, os.PathLike)) and value != parameter.default:
            yield f"{name}={value!r}"
    if type(callback.when).__repr__ is not object.__repr__:
        yield f"when={callback.when!r}"
