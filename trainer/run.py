"""FitRun: one call of fit, from boundary to boundary between compiled calls."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from absl import logging

from trainer.callbacks.base import Callback, Control, Report
from trainer.callbacks.runner import Callbacks
from trainer.callbacks.triggers import NEVER, Moment
from trainer.calls import Call, Goal, Position
from trainer.clock import Clock
from trainer.data.segment import Segment, Source
from trainer.distribution.consensus import Consensus
from trainer.handle import Handle
from trainer.inspect.replay import Planned
from trainer.instruments.base import Instrument
from trainer.instruments.gauges import Gauges
from trainer.instruments.readout import Readout
from trainer.loop import Columns, Loop, is_scalar_sums
from trainer.metrics.windows import Window, scalars
from trainer.pace import Pace
from trainer.precision.overflows import stuck
from trainer.roles import Owed, Saver, Validation, Verbs

if TYPE_CHECKING:
    from trainer.task import Task


class FitRun:
    """Runs a task until a goal is reached.

    Args:
        task: what is trained.
        position: where training stands; advanced in place.
        source: the training data.
        loop_for: gives the compiled loop for a segment of the data, and for the instruments that
            read its steps.
        readout: says what such a loop has read.
        call: this call of fit; its history receives every step and epoch.
        goal: when to end.
        scales: name -> variable, of the loss scales.
        callbacks: called at boundaries.
        validation: what to validate on, if anything.
        saver: takes the checkpoints, if any.
        consensus: tells whether the run is to end, and how many steps all workers make.
        verbs: what else the trainer can do, for callbacks.
        clock: counts where the time goes.
    """

    def __init__(
        self,
        task: Task,
        position: Position,
        source: Source,
        loop_for: Callable[[Segment, tuple[Instrument, ...]], Loop],
        readout: Callable[[tuple[Instrument, ...]], Readout],
        call: Call,
        goal: Goal,
        *,
        scales: Mapping[str, tf.Variable],
        callbacks: Sequence[Callback],
        validation: Validation | None,
        saver: Saver | None,
        consensus: Consensus,
        verbs: Verbs,
        clock: Clock,
    ) -> None:
        self._position, self._source = position, source
        self._loop_for, self._readout, self._goal = loop_for, readout, goal
        self._history, self._validation = call.history, validation
        self._saver, self._consensus, self._clock = saver, consensus, clock
        self._callbacks = Callbacks(callbacks, chief=consensus.chief)
        rehearsed = any(callback.rehearsed for callback in self._callbacks)
        self._gauges = Gauges(self._callbacks.instruments, rehearsed=rehearsed)
        self._started = False
        self._window = Window(task.metrics)
        self._handle = Handle(
            task,
            position,
            goal,
            self._window,
            scales=scales,
            start_step=call.start.step,
            validates=validation is not None,
            consensus=consensus,
            callbacks=self._callbacks,
            saver=saver,
            verbs=verbs,
            clock=clock,
        )
        self._pace = Pace()
        self._scalars: dict[str, float] = {}
        self._validated: dict[str, Any] = {}
        self._closed: dict[str, Any] = {}  # what the last boundary said
        self._epoch_step = 0  # of the epoch that is reported, also when it has just ended
        self._owed: Owed | None = None

    # What a checkpoint holds of the run.

    def memory(self) -> dict[str, Any]:
        """Plain values and arrays from which `resume` goes on."""
        return {
            "names": list(self._handle.names),
            "step_names": list(self._handle.step_names),
            "window": self._window.memory(),
            "scalars": dict(self._scalars),
            "callbacks": self._callbacks.memory(),
            "readings": self._gauges.memory(),
            "owed": None if self._owed is None else list(self._owed),
        }

    def resume(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave, before `go`; calls `on_train_begin`."""
        self._window.load_memory(memory["window"])
        self._scalars = dict(memory["scalars"])
        self._owed = None if memory["owed"] is None else Owed(*memory["owed"])
        self._start(memory["names"], memory["step_names"])
        self._callbacks.load_memory(memory["callbacks"])
        self._gauges.load_memory(memory["readings"])

    def save(self) -> None:
        """Takes a checkpoint of the run as it has ended."""
        self._save(self._moment(epoch_end=True), self._closed)

    # The host loop.

    def go(self) -> None:
        """Trains until the goal, a callback or a signal ends it.

        Raises:
            KeyboardInterrupt: after Ctrl-C, with everything trained kept.
        """
        failure: BaseException | None = None
        self._clock.enter("host")
        try:
            self._boundary()  # where a run that is resumed had none any more
            while not (self._goal.reached(self._position) or self._consensus.ends):
                self._epoch()
            if self._consensus.signal:
                self._save(self._moment(epoch_end=False), {})
                raise KeyboardInterrupt
            self._history.stopped = self._consensus.stop
        except BaseException as error:
            failure = error
            self._history.stopped = self._reason(error)
            raise
        finally:
            if self._started:
                with self._clock.during("callbacks"):
                    self._callbacks.finish(self._report, failure)

    def _over(self) -> bool:
        return bool(self._goal.reached(self._position) or self._consensus.stop)

    def _epoch(self) -> None:
        """Runs the open epoch to its end, to the goal, or until somebody asks to stop."""
        position = self._position
        reader = self._source.reader(position.epoch, position.epoch_step, position.taken)
        try:
            while not self._consensus.ends:
                with self._clock.during("input"):
                    segment = reader.take(self._left())
                if segment is None:  # the stream ended where the last segment did
                    self._consensus.steps(0, 0)
                    self._refuse_empty()
                    self._end_of_steps(epoch_end=True)
                    self._boundary()
                    return
                if self._segment(segment):
                    return
        finally:
            reader.close()

    def _segment(self, segment: Segment) -> bool:
        """Runs the steps of a segment in as few calls as wanted; whether the epoch is over."""
        with self._clock.during("compile"):
            loop = self._loop_for(segment, ())
        self._handle.note(loop, segment.rows)
        if not self._started:
            sums, own = loop.reports
            names = self._window.names(sums)
            validated = [f"val_{name}" for name in names] if self._validation else []
            each = [*(name for name, pair in sums.items() if is_scalar_sums(pair)), *own]
            self._start([*names, *own, *validated], each)
        done = 0
        while done < segment.steps and not self._consensus.ends:
            most = min(segment.steps - done, self._limit())
            n, due = self._gauges.next(self._moment(epoch_end=False), most)
            with self._clock.during("compile"):
                running = self._loop_for(segment, due) if due else loop
            end = segment.steps - done if segment.last else math.inf
            n = self._consensus.steps(min(n, running.capacity), end)
            if not n:
                return False
            if self._callbacks.watches_calls:
                with self._clock.during("callbacks"):
                    self._callbacks.before_call(
                        Planned(self._handle, running, segment.args, done, n)
                    )
            columns = self._run_steps(running, segment.args, done, n, due)
            if not columns.steps:
                return False  # a signal came before the first
            if due:
                found = self._readout(due).split(columns.outputs)
                self._gauges.add(self._position.step + 1, found, self._consensus.seconds)
            self._record(columns)
            done += columns.steps
            last = segment.last and done == segment.steps
            if last and self._position.epoch_step < (self._goal.steps_per_epoch or 0):
                logging.log_every_n_seconds(logging.WARNING, self._short(), 600)
            ended = last or self._position.epoch_step == self._goal.steps_per_epoch
            self._end_of_steps(epoch_end=ended)
            if not self._consensus.signal:
                self._boundary()
            if ended or self._goal.reached(self._position):
                return True
        return False

    def _run_steps(self, loop: Loop, args: Any, first: int, n: int, due: Any) -> Columns:
        """One compiled call, and how long it took."""
        begun, traces = time.perf_counter(), loop.traces
        with self._clock.during("step"):
            columns = loop(args, first, n, self._window.sums)
        seconds, compiled = time.perf_counter() - begun, loop.traces != traces
        took = self._consensus.after(seconds, compiled)
        if columns.steps and (not due or columns.steps > 1):  # one that is read tells no pace
            self._pace.add(columns.steps, *took)
        if compiled:
            self._clock.move(seconds, "step", "compile")
        return columns

    def _start(self, names: Sequence[str], step_names: Sequence[str]) -> None:
        self._handle.names, self._handle.step_names = list(names), list(step_names)
        if self._saver is not None:
            self._saver.start(self._handle)
        self._started = True
        self._gauges.check(self._goal.steps_per_epoch)
        with self._clock.during("callbacks"):
            self._callbacks.start(self._handle)

    def _short(self) -> str:
        return (
            f"the data ended after {self._position.epoch_step} steps of an epoch, before "
            f"steps_per_epoch={self._goal.steps_per_epoch}: an epoch is one pass at most. Pass "
            "data that repeat, or leave steps_per_epoch out."
        )

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
            self._saver.next(moment) if self._saver else NEVER,
        )
        return max(1, min(self._pace.limit(), self._left(), due - moment.step))

    def _record(self, columns: Columns) -> None:
        self._window.add(columns.sums, columns.carried)
        values = {**self._window.step_values(columns.sums), **columns.scalars}
        self._history.add_steps(self._position.step + 1, values)
        if text := stuck(columns.scalars):
            logging.log_every_n_seconds(logging.WARNING, text, 600)
        self._scalars = {name: float(column[-1]) for name, column in columns.scalars.items()}
        self._position.step += columns.steps
        self._position.epoch_step += columns.steps
        self._position.taken += columns.steps

    def _end_of_steps(self, epoch_end: bool) -> None:
        """Moves the position on; what is to be done at the boundary is owed from here on."""
        position = self._position
        self._owed = Owed(epoch_end, position.epoch_step)
        if epoch_end:
            position.epoch += 1
            position.epoch_step = 0

    def _boundary(self) -> None:
        """Between two calls: close the epoch if it ended, validate, and call whoever is due."""
        if self._owed is None:
            return
        position, epoch_end = self._position, self._owed.epoch_end
        self._epoch_step = self._owed.epoch_step
        # A run that ends in mid-epoch closes its window too, so that nothing goes unreported.
        closes = epoch_end or self._goal.reached(position)
        moment = self._moment(epoch_end=closes)
        self._validated = {}
        if self._validation is not None and (
            self._validation.when.due(moment) or (closes and not epoch_end)
        ):
            with self._clock.during("validation"), self._callbacks.evaluating(self._handle):
                values = self._validation.evaluate(lambda: self._consensus.signal is not None)
            if values is None:
                return  # a signal came; validation is still owed
            self._validated = {f"val_{name}": value for name, value in values.items()}
        self._closed = self._logs()
        if closes:
            number = position.epoch if epoch_end else position.epoch + 1
            self._history.add_epoch(number, position.step, self._closed)
        moment = dataclasses.replace(moment, validated=bool(self._validated))
        with self._clock.during("callbacks"):
            control = self._callbacks.run(moment, self._report) or Control()
        self._consensus.wish(control.stop)
        self._gauges.forget(self._callbacks.seen)
        if closes:
            self._window.reset()
        self._owed = None
        if self._saver is not None:
            self._saver.check()
            due = self._consensus.any(bool(self._saver.due(moment) or control.save))
            if due and not self._over():
                self._save(moment, self._closed)

    def _save(self, moment: Moment, logs: Mapping[str, Any]) -> None:
        if self._saver is not None and self._started:
            with self._clock.during("checkpoint"):
                self._saver.save(moment, self.memory(), scalars(logs))

    def _moment(self, epoch_end: bool) -> Moment:
        position = self._position
        return Moment(
            step=position.step,
            epoch=position.epoch,
            epoch_step=position.epoch_step,
            steps_per_epoch=self._goal.steps_per_epoch,
            epoch_end=epoch_end,
            seconds=self._consensus.seconds,
            step_seconds=self._pace.step_seconds,
        )

    def _logs(self) -> dict[str, Any]:
        return {**self._window.values(), **self._scalars, **self._validated}

    def _report(self, since: int) -> Report:
        """What is told to a callback that was last told about step `since`."""
        position, pace = self._position, self._pace.step_seconds
        logs = self._logs()
        return Report(
            step=position.step,
            epoch=position.epoch,
            epoch_end=position.epoch_step == 0 or self._goal.reached(position),
            steps=self._history.since(max(since, self._handle.start_step)),
            logs=scalars(logs),
            validation=scalars(self._validated),
            seconds=self._consensus.seconds,
            steps_per_second=1.0 / pace if pace else None,
            run=self._handle,
            epoch_step=self._epoch_step,
            readings=self._gauges.since(max(since, self._handle.start_step)),
            arrays={name: value for name, value in logs.items() if np.ndim(value) > 1},
            time=self._clock.read(),
        )

    def _refuse_empty(self) -> None:
        if self._position.epoch_step == 0:
            raise ValueError(
                "the data gave no batch in this epoch: it is empty, or an iterator that is used "
                "up. Pass data with at least one example, and for an iterator a function that "
                "makes a new one for each epoch."
            )

    def _reason(self, error: BaseException) -> str:
        step = self._position.step
        if isinstance(error, KeyboardInterrupt):
            sigterm = self._consensus.signal is signal.SIGTERM
            return f"{'SIGTERM' if sigterm else 'Ctrl-C'} at step {step}"
        return f"{type(error).__name__} at step {step}"
