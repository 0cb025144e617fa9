"""Session: the checkpoints of one trainer, from what is found at its start to the last one."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from absl import logging

from trainer import state
from trainer.callbacks.triggers import Moment
from trainer.calls import Call, Position
from trainer.checkpoint import guard, plain
from trainer.checkpoint.errors import CheckpointError
from trainer.checkpoint.settings import Checkpoint
from trainer.checkpoint.store import Content, Found, Store
from trainer.checkpoint.writer import Writer
from trainer.data.fingerprint import differences
from trainer.distribution import agreement
from trainer.distribution.replicas import Replicas, copies
from trainer.match import match

if TYPE_CHECKING:
    from trainer.handle import Handle
    from trainer.loop import Loop
    from trainer.programs import Programs

OWN = "_run"  # the path of all that is no variable


class Session:
    """Finds the newest checkpoint of a folder, puts everything back, and takes further ones.

    Calls of fit are numbered within a process, so that a script with several of them goes on in
    the one that was cut short.

    Args:
        settings: where, when and how many.
        task: whose variables are kept.
        programs: the step counter, and how each verb is compiled.
        configuration: what must be the same for a run to go on: name -> plain value.
        replicas: who trains: the chief alone writes, and says which checkpoint all go on from.
    """

    def __init__(
        self,
        settings: Checkpoint,
        task: Any,
        programs: Programs,
        configuration: Mapping[str, Any],
        replicas: Replicas,
    ) -> None:
        self._replicas = replicas
        self.settings = settings
        self.store = Store(settings.directory)
        self._task, self._programs = task, programs
        self._configuration = dict(configuration)
        self._position: Position | None = None
        self._calls: list[Call] = []
        self._entered = 0  # calls of fit in this process
        self._opening: Call | None = None
        self._memory: Mapping[str, Any] | None = None
        self._begun = self._previewed = False
        self._writer: Writer | None = None
        self._seen: set[int] = set()  # loops that were looked at
        self._fired = 0.0

    # A call of fit.

    @contextmanager
    def open(self, position: Position, say: Callable[[str], None]) -> Iterator[None]:
        """Holds the folder during a call of fit; puts everything back at the first.

        Args:
            position: where training stands; set to where the checkpoint stands.
            say: told in a line what was found.
        """
        with self.store if self._replicas.chief else nullcontext():
            if not self._begun:
                self._begin(position, say)
            self._fired = 0.0
            try:
                yield
            finally:
                if self._writer is not None:
                    self._writer.close()
                    if (error := self._writer.failure()) is not None:  # fit has ended otherwise
                        logging.warning("a checkpoint could not be written: %s", error)
                    self._writer = None

    def known(self, asked: dict[str, int], data: Any, position: Position) -> Call | None:
        """This call of fit as the checkpoint has it: open again, or done; None: it is new.

        Args:
            asked: `{"steps": n}` or `{"epochs": n}`.
            data: fingerprint of its data.
            position: where training stands.

        Raises:
            ValueError: the data or what was asked for does not go with the checkpoint.
        """
        if self._entered >= len(self._calls):
            return None
        call, last = self._calls[self._entered], self._entered == len(self._calls) - 1
        if call.done and (asked == call.asked or self._reached(call, asked, position)):
            self._entered += 1
            return call
        if not last:
            raise ValueError(
                f"call {self._entered + 1} of fit is over in the checkpoint ({_asked(call.asked)}) "
                f"and a later one has begun, so it cannot go on to {_asked(asked)} now. Ask for "
                "what it was asked for, or use another folder for another run."
            )
        if differing := differences(call.data, data):
            raise ValueError(
                "the data is not what the checkpoint's run was trained on: "
                + "; ".join(differing)
                + ". Give it the same data, or use another folder for another run, "
                "and load_weights() to begin it with these weights."
            )
        call.asked, call.done = asked, False
        return call

    def add(self, call: Call) -> None:
        """Adds a call of fit that is new, as soon as its run starts."""
        self._opening = call

    def take_memory(self) -> Mapping[str, Any] | None:
        """The memory that the run of an open call goes on from, once."""
        memory, self._memory = self._memory, None
        return memory

    def look(self, loop: Loop) -> None:
        """Looks into a traced step, once, for what a checkpoint cannot hold.

        Raises:
            ValueError: it uses variables that cannot be found from the task.
        """
        if id(loop) in self._seen:
            return
        self._seen.add(id(loop))
        variables = [*self._variables().values(), self._programs.stop]
        known = {id(copy) for v in variables for copy in copies(v)}
        guard.check_variables(loop.graphs, known)
        for reason in guard.inexact(loop.graphs):
            self._programs.warn(f"a resumed run will not be exact: {reason}")

    # What the run asks of it (`run.Saver`).

    def start(self, run: Handle) -> None:
        """Begins to write: the run is known now.

        Raises:
            ValueError: the monitored value is not reported.
        """
        monitor = self.settings.monitor
        if monitor is not None and monitor not in run.names:
            raise ValueError(
                f"Checkpoint monitors {monitor!r}, which this run does not report; it reports "
                f"{', '.join(run.names)}."
            )
        if self._opening is not None:
            for earlier in self._calls:  # one that was cut short is given up for this one
                earlier.done = True
            self._calls.append(self._opening)
            self._opening = None
        self._entered += 1
        retention = self.settings.retention(run.monitored)
        self._writer = Writer(self.store, retention) if self._replicas.chief else None

    def next(self, moment: Moment) -> int:
        """The first step after `moment.step` at which one may be due."""
        return self.settings.trigger.next(dataclasses.replace(moment, fired=self._fired))

    def due(self, moment: Moment) -> bool:
        """Whether one is due at this boundary."""
        return self.settings.trigger.due(dataclasses.replace(moment, fired=self._fired))

    def save(self, moment: Moment, memory: Mapping[str, Any], logs: Mapping[str, float]) -> None:
        """Takes one; a thread of the chief writes it."""
        assert self._position is not None
        self._fired = moment.seconds
        variables = self._variables()
        values = {name: v.read_value() for name, v in variables.items()}  # all workers may have to
        agreement.same(self._replicas, values, moment.step)
        if self._writer is None:
            return
        packed, arrays = plain.pack(
            {
                "position": dataclasses.asdict(self._position),
                "calls": [call.memory() for call in self._calls],
                "run": memory,
                "programs": self._programs.memory(),
            },
            OWN,
        )
        values.update({path: tf.convert_to_tensor(a) for path, a in arrays.items()})
        weights = set(state.model_variables(self._task))
        self._writer.put(
            Content(
                step=moment.step,
                values=values,
                weights=weights,
                metrics={name: float(value) for name, value in logs.items()},
                header=self._header(),
                plain=packed,
            )
        )

    def check(self) -> None:
        """Raises what went wrong in writing, or warns of it, as the settings say."""
        error = self._writer.failure() if self._writer else None
        if error is None:
            return
        if self.settings.on_error == "raise":
            raise error
        logging.warning("training goes on without this checkpoint: %s", error)

    def finish(self, seconds: float | None = None) -> bool:
        """Waits until the last one is on disk, at most so long; whether it is.

        Of several workers none goes before the chief has written.
        """
        written = self._writer is not None and self._writer.flush(seconds)
        self.check()
        return bool(self._replicas.agree(written)[0, 0])

    def preview(self) -> None:
        """Puts the model's weights back, for evaluation before any training in this process."""
        if self._begun or self._previewed:
            return
        self._previewed = True
        if (found := self._newest()) is None:
            return
        variables = state.model_variables(self._task)
        _, values = self.store.load(found.name, found.manifest.weights, verified=found.manifest)
        have = {name: (v.shape, v.dtype.name) for name, v in values.items()}
        want = {name: (tuple(v.shape), v.dtype.name) for name, v in variables.items()}
        for there, here in match(have, want, where=self.store.path(found.name)).pairs:
            variables[here].assign(values[there])

    # What is there at the beginning.

    def _begin(self, position: Position, say: Callable[[str], None]) -> None:
        self._position = position
        found = self._newest()
        if found is not None:
            for bad in found.set_aside:
                logging.warning(
                    "checkpoint %s is corrupt and was set aside: %s", bad.name, bad.reason
                )
            self._restore(found, position)
            open_epoch = f"{position.epoch_step:,} steps into epoch {position.epoch + 1}"
            whole = f"{position.epoch} epochs done"
            say(
                f"resumed from step {position.step:,} "
                f"({open_epoch if position.epoch_step else whole}): {self.store.path(found.name)}"
            )
        self._begun = True

    def _newest(self) -> Found | None:
        """The newest checkpoint, as the chief finds it and every worker reads it."""
        found = self.store.newest() if self._replicas.chief else None
        name = agreement.tell(self._replicas, found.name if found else "")[0]
        if name and not self._replicas.chief:
            try:
                found = Found(name, self.store.verify(name), ())
                fact = found.manifest.weights_sha256
            except CheckpointError as error:
                fact = f"{error}"
        elif found:
            fact = found.manifest.weights_sha256
        else:
            return None
        agreement.check(self._replicas, lambda: {f"checkpoint {self.store.path(name)}": fact})
        return found

    def _restore(self, found: Found, position: Position) -> None:
        """Puts variables, position, calls and programs back."""
        name = found.name
        manifest, values = self.store.load(name, verified=found.manifest)
        differing = [
            f"{key}={now!r} here, {manifest.header['configuration'].get(key)!r} there"
            for key, now in self._configuration.items()
            if manifest.header["configuration"].get(key) != now
        ]
        if differing:
            raise ValueError(
                f"the run in {self.settings.directory} was made with other settings: "
                f"{'; '.join(differing)}. Pass the same, or use another folder."
            )
        own = plain.paths(manifest.plain)
        variables = self._variables()
        have = {n: (v.shape, v.dtype) for n, v in manifest.values.items() if n not in set(own)}
        want = {n: (tuple(v.shape), v.dtype.name) for n, v in variables.items()}
        where = f"the checkpoint {self.store.path(name)}"
        hint = "A new run (another folder) can take over a part: load_weights(folder, partial=...)."
        for there, here in match(have, want, where=where, hint=hint).pairs:
            variables[here].assign(values[there])
        memory = plain.unpack(manifest.plain, {path: _array(values[path]) for path in own})
        for key, value in memory["position"].items():
            setattr(position, key, value)
        self._calls = [Call.of(call) for call in memory["calls"]]
        self._memory = memory["run"]
        self._programs.load_memory(memory["programs"])
        self._warn_of_other_machine(manifest.header)

    def _warn_of_other_machine(self, header: Mapping[str, Any]) -> None:
        now = self._header()
        differing = [
            f"{key}: {header[part].get(key)} then, {value} now"
            for part in ("versions", "threads")
            for key, value in now[part].items()
            if header[part].get(key) != value
        ]
        if differing:
            logging.warning(
                "resumed on another machine or version, so the last bits may differ from those of "
                "an uninterrupted run: %s",
                "; ".join(differing),
            )

    def _reached(self, call: Call, asked: Mapping[str, int], position: Position) -> bool:
        wanted = dataclasses.replace(call, asked=dict(asked)).goal(None)
        return call.history.stopped is None and wanted.reached(position)

    def _variables(self) -> dict[str, tf.Variable]:
        own = {f"{OWN}/{name}": v for name, v in self._programs.variables.items()}
        return {**state.variables(self._task), **own}

    def _header(self) -> dict[str, Any]:
        versions = {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        }
        if "keras" in sys.modules:
            versions["keras"] = sys.modules["keras"].__version__
        return {
            "configuration": self._configuration,
            "versions": versions,
            "threads": {
                "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
                "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
                "cores": os.cpu_count(),
                "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
                "xla_flags": os.environ.get("XLA_FLAGS", ""),
            },
            "compiled": {verb: c.mode for verb, c in self._programs.choices.items()},
            "data": self._calls[-1].data if self._calls else None,
        }


def _array(value: tf.Tensor) -> np.ndarray:
    return value.numpy()


def _asked(asked: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in asked.items())
