"""FitRun: one call of fit, from boundary to boundary between compiled calls."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainer import state
from trainer.callbacks.base import Callback, Report
from trainer.callbacks.history import History
from trainer.callbacks.runner import Callbacks
from trainer.callbacks.triggers import NEVER, Moment, Trigger
from trainer.data.segment import Segment, Source
from trainer.interrupt import Interrupt
from trainer.loop import Columns, Loop
from trainer.metrics.windows import Window
from trainer.pace import Pace

if TYPE_CHECKING:
    from trainer.task import Task


@dataclasses.dataclass
class Position:
    """Where training stands, over all calls of fit."""

    step: int = 0
    epoch: int = 0  # epochs completed
    epoch_step: int = 0  # steps made in the open epoch
    taken: int = 0  # steps read of the data at hand, where it is pulled once


@dataclasses.dataclass(frozen=True)
class Goal:
    """When a call of fit is over: at a step, or after so many epochs; the one that is not None."""

    step: int | None
    epoch: int | None
    steps_per_epoch: int | None  # given or known; None: the data's end says

    def reached(self, position: Position) -> bool:
        """Whether training has come this far."""
        if self.step is not None:
            return position.step >= self.step
        return self.epoch is not None and position.epoch >= self.epoch

    def total_steps(self, position: Position) -> int | None:
        """The step at which fit will end, as far as it can be told."""
        if self.step is not None:
            return self.step
        if self.steps_per_epoch is None or self.epoch is None:
            return None
        epochs = self.epoch - position.epoch
        return position.step + epochs * self.steps_per_epoch - position.epoch_step


@dataclasses.dataclass(frozen=True)
class Validation:
    """What to validate on, and when."""

    evaluate: Callable[[], dict[str, float]]
    when: Trigger


class FitRun:
    """Runs a task until a goal is reached.

    Args:
        task: what is trained.
        position: where training stands; advanced in place.
        source: the training data.
        loop_for: gives the compiled loop for a segment of the data.
        goal: when to end.
        history: receives every step and epoch.
        callbacks: called at boundaries.
        validation: what to validate on, if anything.
    """

    def __init__(
        self,
        task: Task,
        position: Position,
        source: Source,
        loop_for: Callable[[Segment], Loop],
        goal: Goal,
        *,
        history: History,
        callbacks: Sequence[Callback],
        validation: Validation | None,
    ) -> None:
        self.names: list[str] = []
        self.monitored = {
            prefix + name: metric.direction
            for prefix in ("", "val_")
            for name, metric in task.metrics.items()
            if metric.direction
        }
        self.start_step = position.step
        self.total_steps = goal.total_steps(position)
        self.epochs = goal.epoch
        self.steps_per_epoch = goal.steps_per_epoch
        self.validates = validation is not None
        self._task, self._position, self._source = task, position, source
        self._loop_for, self._goal = loop_for, goal
        self._history, self._validation = history, validation
        self._callbacks = Callbacks(callbacks)
        self._started = False
        self._window = Window(task.metrics)
        self._pace = Pace()
        self._scalars: dict[str, float] = {}
        self._validated: dict[str, float] = {}
        self._epoch_step = 0  # of the epoch that is reported, also when it has just ended
        self._stop: str | None = None
        self._begun = time.perf_counter()

    # What callbacks may do (`callbacks.base.Run`).

    def snapshot(self) -> dict[str, Any]:
        """A copy of everything trained, as it is now."""
        return {path: v.read_value() for path, v in state.variables(self._task).items()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Puts the model's weights of a snapshot back; optimizers keep theirs, as in Keras."""
        for path, variable in state.model_variables(self._task).items():
            variable.assign(snapshot[path])

    # The host loop.

    def go(self) -> None:
        """Trains until the goal, a callback or Ctrl-C ends it.

        Raises:
            KeyboardInterrupt: after Ctrl-C, with everything trained kept.
        """
        with Interrupt() as interrupt:
            failure: BaseException | None = None
            try:
                while not (self._goal.reached(self._position) or self._stop):
                    self._epoch(interrupt)
                    if interrupt.wanted:
                        raise KeyboardInterrupt
                self._history.stopped = self._stop
            except BaseException as error:
                failure = error
                self._history.stopped = _reason(error, self._position.step)
                raise
            finally:
                if self._started:
                    self._callbacks.finish(self._report, failure)

    def _epoch(self, interrupt: Interrupt) -> None:
        """Runs the open epoch to its end, to the goal, or until somebody asks to stop."""
        place = self._position
        reader = self._source.reader(place.epoch, place.epoch_step, place.taken)
        try:
            while not (self._stop or interrupt.wanted):
                segment = reader.take(self._left())
                if segment is None:  # the stream ended where the last segment did
                    self._refuse_empty()
                    self._boundary(epoch_end=True)
                    return
                if self._segment(segment, interrupt):
                    return
        finally:
            reader.close()

    def _segment(self, segment: Segment, interrupt: Interrupt) -> bool:
        """Runs the steps of a segment in as few calls as wanted; whether the epoch is over."""
        loop = self._loop_for(segment)
        if not self._started:
            self._start(loop)
        done = 0
        while done < segment.steps and not (self._stop or interrupt.wanted):
            n = min(segment.steps - done, loop.capacity, self._limit())
            begun, traces = time.perf_counter(), loop.traces
            columns = loop(segment.args, done, n)
            self._pace.add(n, time.perf_counter() - begun, compiled=loop.traces != traces)
            self._record(columns, n)
            done += n
            last = segment.last and done == segment.steps
            ended = last or self._position.epoch_step == self._goal.steps_per_epoch
            self._boundary(epoch_end=ended)
            if ended or self._goal.reached(self._position):
                return True
        return False

    def _start(self, loop: Loop) -> None:
        sums, scalars = loop.names
        validated = [f"val_{name}" for name in sums] if self._validation else []
        self.names = [*sums, *scalars, *validated]
        self._started = True
        self._callbacks.start(self)

    def _left(self) -> int:
        """Steps until the goal or the known end of the epoch."""
        position, goal = self._position, self._goal
        left = [NEVER]
        if goal.step is not None:
            left.append(goal.step - position.step)
        if goal.steps_per_epoch is not None:
            left.append(goal.steps_per_epoch - position.epoch_step)
        return max(1, min(left))

    def _limit(self) -> int:
        """How many steps may run before somebody wants to be called."""
        moment = self._moment(epoch_end=False)
        due = min(
            self._callbacks.next(moment),
            self._validation.when.next(moment) if self._validation else NEVER,
        )
        return max(1, min(self._pace.limit(), self._left(), due - moment.step))

    def _record(self, columns: Columns, steps: int) -> None:
        self._window.add(columns.sums, columns.carried)
        values = {**self._window.step_values(columns.sums), **columns.scalars}
        self._history.add_steps(self._position.step + 1, values)
        self._scalars = {name: float(column[-1]) for name, column in columns.scalars.items()}
        self._position.step += steps
        self._position.epoch_step += steps
        self._position.taken += steps

    def _boundary(self, epoch_end: bool) -> None:
        """Between two calls: close the epoch if it ended, validate, and call whoever is due."""
        position = self._position
        self._epoch_step = position.epoch_step
        if epoch_end:
            position.epoch += 1
            position.epoch_step = 0
        # A run that ends in mid-epoch closes its window too, so that nothing goes unreported.
        closes = epoch_end or self._goal.reached(position)
        moment = self._moment(epoch_end=closes)
        self._validated = {}
        if self._validation is not None and (
            self._validation.when.due(moment) or (closes and not epoch_end)
        ):
            values = self._validation.evaluate()
            self._validated = {f"val_{name}": value for name, value in values.items()}
        if closes:
            number = position.epoch if epoch_end else position.epoch + 1
            self._history.add_epoch(number, position.step, self._logs())
        moment = dataclasses.replace(moment, validated=bool(self._validated))
        control = self._callbacks.run(moment, self._report)
        if control is not None and control.stop:
            self._stop = control.stop
        if closes:
            self._window.reset()

    def _moment(self, epoch_end: bool) -> Moment:
        position = self._position
        return Moment(
            step=position.step,
            epoch=position.epoch,
            epoch_step=position.epoch_step,
            steps_per_epoch=self._goal.steps_per_epoch,
            epoch_end=epoch_end,
            seconds=time.perf_counter() - self._begun,
            step_seconds=self._pace.step_seconds,
        )

    def _logs(self) -> dict[str, float]:
        return {**self._window.values(), **self._scalars, **self._validated}

    def _report(self, since: int) -> Report:
        """What is told to a callback that was last told about step `since`."""
        position, pace = self._position, self._pace.step_seconds
        return Report(
            step=position.step,
            epoch=position.epoch,
            epoch_end=position.epoch_step == 0 or self._goal.reached(position),
            steps=self._history.since(max(since, self.start_step)),
            logs=self._logs(),
            validation=dict(self._validated),
            seconds=time.perf_counter() - self._begun,
            steps_per_second=1.0 / pace if pace else None,
            run=self,
            epoch_step=self._epoch_step,
        )

    def _refuse_empty(self) -> None:
        if self._position.epoch_step == 0:
            raise ValueError(
                "the data gave no batch in this epoch: it is empty, or an iterator that is used "
                "up. Pass data with at least one example, and for an iterator a function that "
                "makes a new one for each epoch."
            )


def _reason(error: BaseException, step: int) -> str:
    if isinstance(error, KeyboardInterrupt):
        return f"Ctrl-C at step {step}"
    return f"{type(error).__name__} at step {step}"
