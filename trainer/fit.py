"""Fit: enters a call of fit, new or cut short, and sees it through to its goal or a signal."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import logging

from trainer import state
from trainer.callbacks.base import Callback
from trainer.callbacks.history import History
from trainer.calls import Call, Goal, Position
from trainer.checkpoint.session import Session
from trainer.clock import Clock, TimeSpent
from trainer.data.segment import Segment, Source
from trainer.distribution import agreement
from trainer.distribution.consensus import Consensus
from trainer.distribution.replicas import Replicas
from trainer.instruments.base import Instrument
from trainer.interrupt import Interrupt, Preempted
from trainer.loop import Loop
from trainer.programs import Programs
from trainer.roles import Validation, Verbs
from trainer.run import FitRun
from trainer.task import Task


class Fit:
    """The calls of fit of one trainer.

    Args:
        task: what is trained.
        programs: its compiled loops.
        position: where training stands; advanced in place.
        session: its checkpoints, if any are taken.
        replicas: who trains.
    """

    def __init__(
        self,
        task: Task,
        programs: Programs,
        position: Position,
        session: Session | None,
        replicas: Replicas,
    ) -> None:
        self._replicas = replicas
        self._task, self._programs = task, programs
        self._position, self._session = position, session
        self._endless: Any = None  # the data of the last call, if it never ends

    def agree(self, asked: Mapping[str, Any], source: Source, held_out: Source | None) -> None:
        """Of several workers, refuses those that were asked for something else, or on other data.

        Raises:
            Disagreement: there are such.
        """

        def facts() -> dict[str, Any]:
            variables = state.variables(self._task)
            return {
                "fit": {name: _said(value) for name, value in asked.items()},
                "checkpoint": self._session and _said(self._session.settings.when),
                "data": source.fingerprint(),
                "validation data": held_out.fingerprint() if held_out else None,
                "variables": {n: f"{v.dtype.name} {list(v.shape)}" for n, v in variables.items()},
            }

        agreement.check(self._replicas, facts)

    def enter(
        self, data: Any, source: Source, asked: dict[str, int], steps_per_epoch: int | None
    ) -> Call:
        """This call of fit: as the checkpoint has it, or a new one.

        Args:
            data: what the source was opened on, as it was given.
            source: the training data.
            asked: `{"steps": n}` or `{"epochs": n}`.
            steps_per_epoch: as it was given.
        """
        position, session = self._position, self._session
        goes_on = source.infinite and data is self._endless  # where the last call left it
        self._endless = data if source.infinite else None
        fingerprint = source.fingerprint() if session else None
        if (
            session is not None
            and (call := session.known(asked, fingerprint, position)) is not None
        ):
            return call
        # The open epoch goes on where the data still has one like it.
        length = steps_per_epoch or source.steps_per_epoch
        over = length is not None and position.epoch_step >= length
        if position.epoch_step and ("epochs" in asked or over):
            position.epoch += 1
            position.epoch_step = 0
        if not goes_on:
            position.taken = 0
        if position.step >= asked.get("steps", position.step + 1):
            raise ValueError(
                f"steps={asked['steps']}, and training stands at step {position.step} already: "
                "steps is the step to train to, counted over all calls of fit. For n more pass "
                "steps=trainer.step + n."
            )
        call = Call(dataclasses.replace(position), asked, fingerprint, History())
        if session is not None:
            session.add(call)
            promise = source.exactness()
            if promise.level != "exact":
                self._programs.warn(f"a resumed run may get other batches: {promise.reason}")
        return call

    def run(
        self,
        call: Call,
        source: Source,
        steps_per_epoch: int | None,
        *,
        callbacks: Sequence[Callback],
        validation: Validation | None,
        say: Callable[[str], None],
        table: bool,
        verbs: Verbs,
        clock: Clock,
    ) -> None:
        """Trains until the call's goal; a signal ends it with everything kept.

        At its end it says where the time went, in a line or in a table.
        """
        position, session = self._position, self._session
        goal = self._goal(call, source, steps_per_epoch)
        total = goal.total_steps(position)
        planned = None if total is None else total - call.start.step

        def loop_for(segment: Segment, instruments: tuple[Instrument, ...]) -> Loop:
            loop = self._programs.loop("train", source.fetch, segment, planned, say, instruments)
            if session is not None:
                session.look(loop)
            return loop

        grace = session.settings.grace_seconds if session else None
        with Interrupt(self._programs.stop, sigterm_grace=grace) as interrupt:
            consensus = Consensus(self._replicas, interrupt)
            run = FitRun(
                self._task,
                position,
                source,
                loop_for,
                self._programs.readout,
                call,
                goal,
                scales=self._programs.computing.scalers.variables,
                callbacks=callbacks,
                validation=validation,
                saver=session,
                consensus=consensus,
                verbs=verbs,
                clock=clock,
            )
            try:
                if session is not None and (memory := session.take_memory()) is not None:
                    run.resume(memory)
                run.go()
                call.done = True
                if call.history.stopped:
                    say(f"stopped: {call.history.stopped}")
                run.save()
                if session is not None:
                    with clock.during("checkpoint"):
                        session.finish()
                consensus.steps(0)
                if consensus.signal:  # it came after the last step
                    raise KeyboardInterrupt
            except KeyboardInterrupt:
                if session is None:
                    raise
                written = session.finish(interrupt.seconds_left)
                if interrupt.wanted is not signal.SIGTERM:
                    raise
                where = f"is saved in {session.settings.directory}" if written else "is NOT saved"
                message = f"SIGTERM at step {position.step}, which {where}"
                logging.warning(message)
                raise Preempted(message) from None
            finally:
                # The same unless a step failed amid a call, after others that count.
                position.step = int(self._programs.counter.read_value())
                call.history.time = TimeSpent(clock.read())
                spent = call.history.time
                say(f"where the time went\n{spent}" if table else f"took {spent.line}")

    def _goal(self, call: Call, source: Source, steps_per_epoch: int | None) -> Goal:
        goal = call.goal(steps_per_epoch or source.steps_per_epoch)
        if goal.step is None and goal.steps_per_epoch is None and source.infinite:
            raise ValueError(
                "x never ends, so an epoch has no end: pass steps_per_epoch=, or steps= in place "
                "of epochs=."
            )
        return goal


def _said(value: Any) -> Any:
    """A trigger as it was written, or its kind, where that says more of this process."""
    if value is None or isinstance(value, int):
        return value
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else text
