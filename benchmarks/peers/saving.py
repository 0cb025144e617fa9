"""Contenders that save while they train, each beside the same loop that does not.

A round is two cycles of so many steps in the same process, one with a save and one without, by
turns the one or the other first. Where saving goes on beside the steps, a cycle begins with it, and
its clock stops when it is over.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import machine
from benchmarks.peers.base import Peer
from benchmarks.peers.hand import Hand
from benchmarks.peers.keras_fit import KerasFit
from benchmarks.peers.orbit_loop import OrbitLoop
from benchmarks.peers.ours import Ours

LEAD = 3  # steps from the start of a call to the clock's, where a call does other work too
NEVER = 2**60  # later than any step
KEPT = 3  # checkpoints, where there is such a setting


class Saving(Peer):
    """What all savers share: the folder, the clock around each save, the memory of a round.

    Settings: `kind` of saving; `every`, the steps of a cycle; `folder` of one that is there, to
    restore from.
    """

    def prepare(self) -> None:
        """Reads the settings; to be called first in `setup`."""
        self.kind: str = self.settings["kind"]
        self.every: int = self.settings["every"]
        given = self.settings.get("folder")
        # A new one lies in the child's own folder.
        self.folder = pathlib.Path(given or tempfile.mkdtemp(prefix="saved-"))
        self.pauses: list[float] = []
        self.rounds = 0

    def timed(self, save: Callable[..., Any]) -> Callable[..., Any]:
        """A save that notes how long it takes."""

        def clocked(*positional: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return save(*positional, **named)
            finally:
                self.pauses.append(time.perf_counter() - begin)

        return clocked

    def train(self, batches: int | None = None, epochs: int = 1) -> float:
        """Some steps; or a cycle with a save and one without, of which all is noted."""
        if batches is not None:
            return self.first(batches)
        self.pauses.clear()
        self.rounds += 1
        self.seconds: dict[bool, float] = {}
        self.peaks: dict[bool, float] = {}
        for saving in (True, False) if self.rounds % 2 else (False, True):
            self.peak = 0.0
            machine.forget_peak()
            self.seconds[saving] = self.cycle(saving)
            self.peaks[saving] = self.peak or machine.peak_mb()
        pauses = list(self.pauses)
        loss = self.first(1)
        self.pauses[:] = pauses
        return loss

    def first(self, steps: int) -> float:
        """Trains some steps; returns the loss."""
        raise NotImplementedError

    def cycle(self, saving: bool) -> float:
        """Trains `every` steps; returns their seconds, with those of the save if there is one.

        Sets `peak`, the memory of those steps, where the call does other work too.
        """
        raise NotImplementedError

    def restore(self) -> None:
        """Puts everything back from the folder into what was built."""
        raise NotImplementedError

    def newest(self) -> pathlib.Path:
        """What the last save wrote: a file or a folder."""
        return self.folder

    def noted(self) -> dict[str, Any]:
        """Of the last round: seconds and peak memory with and without, pauses, bytes of a save."""
        return {
            "seconds": self.seconds[True],
            "without": self.seconds[False],
            "pauses": list(self.pauses),
            "extra_mb": self.peaks[True] - self.peaks[False],
            "folder": str(self.folder),
            "bytes": machine.size(self.newest()),
        }


@dataclasses.dataclass
class Rhythm:
    """A trigger: due at a step that is set, and every so many steps after it."""

    every: int
    start: int = 0

    def next(self, moment: Any) -> int:
        """The first due step after `moment.step`."""
        gone = moment.step - self.start
        return self.start if gone < 0 else moment.step + self.every - gone % self.every

    def due(self, moment: Any) -> bool:
        """Whether it is due at this boundary."""
        gone = moment.step - self.start
        return gone >= 0 and gone % self.every == 0


class OursSaving(Saving, Ours):
    """The Trainer with a checkpoint at the start of a cycle, or at its end only.

    A callback reads the clock at both boundaries: at the first just before the save, at the last
    when what was being written is on disk.
    """

    FEATURES = ("metrics",)

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """The Trainer, and its session with a clock around `save`."""
        from trainer.callbacks import Callback

        self.prepare()
        self.due, self.clock = Rhythm(self.every), Rhythm(self.every)
        super().setup(weights)
        self.marks: list[float] = []
        session: Any = self.trainer._session
        session.save = self.timed(session.save)
        peer = self

        class Clock(Callback):
            when = peer.clock

            def __call__(self, report):
                if peer.marks:
                    session._writer.flush()
                    peer.peak = machine.peak_mb()
                else:
                    machine.forget_peak()
                peer.marks.append(time.perf_counter())

        self.callbacks.append(Clock())

    def arguments(self) -> dict[str, Any]:
        """The checkpoint."""
        from trainer import Checkpoint

        return {"checkpoint": Checkpoint(self.folder, when=self.due, keep_last=KEPT)}

    def first(self, steps: int) -> float:
        """A call of fit to so many steps more."""
        self.due.start = self.clock.start = NEVER
        return self._fit(self.trainer.step + steps)

    def cycle(self, saving: bool) -> float:
        """A call of fit; the save at its end, which there always is, is not timed."""
        noted = list(self.pauses)
        self.marks.clear()
        self.clock.start = self.trainer.step + LEAD
        self.due.start = self.clock.start if saving else NEVER
        self._fit(self.clock.start + self.every)
        self.pauses[:] = [*noted, *self.pauses[len(noted) :][:saving]]
        return self.marks[1] - self.marks[0]

    def restore(self) -> None:
        """The first call of fit once more: it puts the newest back, and is done."""
        self._fit(1)

    def newest(self) -> pathlib.Path:
        """The checkpoint with the highest serial."""
        return max(self.folder.glob("*-step-*"))

    def _fit(self, steps: int) -> float:
        history = self.trainer.fit(
            self.data.x_train,
            self.data.y_train,
            batch_size=self.workload.batch_size,
            steps=steps,
            shuffle=False,
            verbose=0,
            callbacks=self.callbacks,
        )
        return float(history.history["loss"][-1])


class HandSaving(Saving, Hand):
    """The hand-written loop, its step compiled by XLA, with `tf.train.CheckpointManager`.

    Kinds: "sync", and "async" with `CheckpointOptions(enable_async=True)`.
    """

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """The loop and the manager."""
        self.prepare()
        super().setup(weights)
        self.step = tf.function(self._step, jit_compile=True)
        self.steps = tf.Variable(0, dtype=tf.int64)
        # Not model and optimizer themselves: Keras 3 objects cannot be saved with enable_async.
        variables = [v for held in self.by_hand.state.values() for v in held.variables]
        self.checkpoint = tf.train.Checkpoint(
            variables=[variable.value for variable in variables], step=self.steps
        )
        self.manager = tf.train.CheckpointManager(self.checkpoint, self.folder, max_to_keep=KEPT)
        self.options = tf.train.CheckpointOptions(enable_async=self.kind == "async")
        self.save = self.timed(self._save)
        self._endless: Any = None

    def first(self, steps: int) -> float:
        """The loop."""
        self.reset()
        for _ in range(steps):
            self._one()
        return self.results()["loss"]

    def cycle(self, saving: bool) -> float:
        """The loop, until what was being written is."""
        self.first(LEAD)
        begin = time.perf_counter()
        if saving:
            self.save()
        self.first(self.every)
        self.manager.sync()
        return time.perf_counter() - begin

    def restore(self) -> None:
        """The newest, and that all of it was wanted."""
        latest = self.manager.latest_checkpoint
        self.checkpoint.restore(latest).assert_consumed()

    def newest(self) -> pathlib.Path:
        """The two files with the highest number."""
        latest = pathlib.Path(self.manager.latest_checkpoint)
        together = self.folder / "newest"
        shutil.rmtree(together, ignore_errors=True)
        together.mkdir()
        for file in latest.parent.glob(f"{latest.name}.*"):
            (together / file.name).hardlink_to(file)
        return together

    def _one(self) -> None:
        if self._endless is None:
            self._endless = iter(self._pipeline(len(self.data.x_train)).repeat())
        self.step(*next(self._endless))
        self.steps.assign_add(1)

    def _save(self) -> None:
        self.manager.save(checkpoint_number=int(self.steps), options=self.options)


class FitSaving(Saving, KerasFit):
    """Keras `fit` with its callbacks.

    Kinds: "model" (`ModelCheckpoint`, the whole model with its optimizer), "weights" (with
    the optimizer too, without the code), "backup" (`BackupAndRestore`); each with `save_freq`.
    """

    FILES = {"model": "all.keras", "weights": "all.weights.h5", "backup": "backup"}

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """The compiled model."""
        self.prepare()
        super().setup(weights)

    def first(self, steps: int) -> float:
        """A call of `fit` with no callbacks."""
        return KerasFit.train(self, batches=steps)

    def cycle(self, saving: bool) -> float:
        """A call of `fit` of one epoch, at whose last batch it saves."""
        x, arguments = self._input(len(self.data.x_train))
        callbacks = self._savers() if saving else []
        begin = time.perf_counter()
        self.model.fit(x, epochs=1, shuffle=False, verbose=0, callbacks=callbacks, **arguments)
        return time.perf_counter() - begin

    def restore(self) -> None:
        """What the callback's documentation says."""
        import keras

        if self.kind == "model":
            self.model = keras.saving.load_model(self.newest())
        elif self.kind == "weights":
            self.model.optimizer.build(self.model.trainable_variables)  # else it is left out
            self.model.load_weights(self.newest())
        else:
            (saver,) = self._savers()
            saver.set_model(self.model)
            saver.on_train_begin()

    def newest(self) -> pathlib.Path:
        """A file, or the folder of the backup; each save overwrites it."""
        return self.folder / self.FILES[self.kind]

    def _savers(self) -> list[Any]:
        import keras

        saver: Any
        if self.kind == "backup":
            if not self.settings.get("folder"):  # or this call of fit would go on from it
                shutil.rmtree(self.newest(), ignore_errors=True)
            saver = keras.callbacks.BackupAndRestore(
                str(self.newest()), save_freq=self.every, delete_checkpoint=False
            )
        else:
            saver = keras.callbacks.ModelCheckpoint(
                str(self.newest()),
                save_freq=self.every,
                save_weights_only=self.kind == "weights",
            )
        saver._save_model = self.timed(saver._save_model)
        return [saver]


class OrbitSaving(Saving, OrbitLoop):
    """Orbit's controller, its step compiled by XLA, with its `checkpoint_manager`."""

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """The controller, and a manager with the interval of a cycle."""
        self.prepare()
        super().setup(weights)
        self.fast = tf.function(super()._step, jit_compile=True)
        self.manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**self.by_hand.state, global_step=self.global_step),
            self.folder,
            max_to_keep=KEPT,
            step_counter=self.global_step,
            checkpoint_interval=self.every,
        )
        self.manager.save = self.timed(self.manager.save)

    def _step(self, *batch):
        self.fast(*batch)

    def first(self, steps: int) -> float:
        """Without the manager."""
        return OrbitLoop.train(self, batches=steps)

    def cycle(self, saving: bool) -> float:
        """`Controller.train`, which saves after each of its loops."""
        if saving:
            self.controller.checkpoint_manager = self.manager
        begin = time.perf_counter()
        OrbitLoop.train(self)
        seconds = time.perf_counter() - begin
        self.controller.checkpoint_manager = None
        return seconds

    def restore(self) -> None:
        """As the controller does when it is made."""
        self.controller.checkpoint_manager = self.manager
        self.controller.restore_checkpoint()

    newest = HandSaving.newest
