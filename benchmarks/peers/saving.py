"""Contenders that save while they train, each beside the same loop that does not.

All make `settings["lead"]` steps where they need them, and then rounds of whole cycles: a save and
`settings["every"]` steps. `noted` tells the seconds of the cycles and of each save.
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

LEAD = 3  # steps from the start of a call to the first save, where saving goes on beside steps
KEPT = 3  # checkpoints, where there is such a setting


class Saving(Peer):
    """What all savers share: the folder, the clock around each save, the memory of a round.

    Settings: `kind` of saving, None for none; `every` so many steps; `folder` of one that is there,
    to restore from.
    """

    def prepare(self) -> None:
        """Reads the settings; to be called first in `setup`."""
        self.kind: str | None = self.settings.get("kind")
        self.every: int = self.settings["every"]
        given = self.settings.get("folder")
        # A new one lies in the child's own folder.
        self.folder = pathlib.Path(given or tempfile.mkdtemp(prefix="saved-"))
        self.pauses: list[float] = []
        self.seconds: float | None = None

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
        """One step, or as many cycles as there are epochs of `every` steps."""
        if batches is not None:
            return self.first(batches)
        self.pauses.clear()
        machine.forget_peak()
        begin = time.perf_counter()
        self.seconds = None
        loss = self.cycles(epochs)
        self.seconds = self.seconds or time.perf_counter() - begin
        self.peak = machine.peak_mb()
        return loss

    def first(self, steps: int) -> float:
        """Trains some steps, of which nothing is noted."""
        raise NotImplementedError

    def cycles(self, number: int) -> float:
        """Trains so many cycles; sets `seconds` where the call does other work too."""
        raise NotImplementedError

    def restore(self) -> None:
        """Puts everything back from the folder into what was built."""
        raise NotImplementedError

    def newest(self) -> pathlib.Path:
        """What the last save wrote: a file or a folder."""
        return self.folder

    def noted(self) -> dict[str, Any]:
        """Seconds of the cycles, of each save, peak memory, and the bytes of a checkpoint."""
        return {
            "seconds": self.seconds,
            "pauses": list(self.pauses),
            "round_peak_mb": self.peak,
            "folder": str(self.folder),
            "bytes": machine.size(self.newest()) if self.kind else 0,
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
    """The Trainer with a checkpoint in every cycle (kind "checkpoint"), or without.

    Both are called at the same boundaries, just before a save is due, by a callback that reads the
    clock; so both cut their compiled loop alike.
    """

    FEATURES = ("metrics",)

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """The Trainer, and its session with a clock around `save`."""
        from trainer.callbacks import Callback

        self.prepare()
        self.rhythm = Rhythm(self.every)
        super().setup(weights)
        self.marks: list[float] = []
        peer = self

        class Clock(Callback):
            when = peer.rhythm

            def __call__(self, report):
                peer.marks.append(time.perf_counter())

        self.callbacks.append(Clock())
        if self.trainer._session is not None:
            session: Any = self.trainer._session
            session.save = self.timed(session.save)

    def arguments(self) -> dict[str, Any]:
        """The checkpoint."""
        from trainer import Checkpoint

        if self.kind is None:
            return {}
        return {"checkpoint": Checkpoint(self.folder, when=self.rhythm, keep_last=KEPT)}

    def first(self, steps: int) -> float:
        """A call of fit; one that is in the folder already is only restored."""
        self.rhythm.start = 2**60
        return self._fit(steps)

    def cycles(self, number: int) -> float:
        """A call of fit; the last save, at its end, is not in a cycle."""
        self.rhythm.start = self.trainer.step + LEAD
        self.marks.clear()
        loss = self._fit(self.rhythm.start + number * self.every)
        self.seconds = self.marks[number] - self.marks[0]
        del self.pauses[number:]
        return loss

    def restore(self) -> None:
        """The first call of fit once more: it puts the newest back, and is done."""
        self.first(1)

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
        variables = [*self.model.variables, *self.optimizer.variables]
        self.checkpoint = tf.train.Checkpoint(
            variables=[variable.value for variable in variables], step=self.steps
        )
        self.manager = tf.train.CheckpointManager(self.checkpoint, self.folder, max_to_keep=KEPT)
        self.options = tf.train.CheckpointOptions(enable_async=self.kind == "async")
        self.save = self.timed(self._save)
        self._batches: Any = None

    def first(self, steps: int) -> float:
        """The loop."""
        self.loss.reset_state()
        for _ in range(steps):
            self._one()
        return float(self.loss.result())

    def cycles(self, number: int) -> float:
        """The loop; one more save follows, outside of the cycles, as ours has."""
        self.first(LEAD)
        begin = time.perf_counter()
        for _ in range(number):
            if self.kind:
                self.save()
            loss = self.first(self.every)
        self.seconds = time.perf_counter() - begin
        if self.kind:
            self.save()
            self.manager.sync()
            del self.pauses[number:]
        return loss

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
        if self._batches is None:
            self._batches = iter(self._pipeline(len(self.data.x_train)).repeat())
        self.step(*next(self._batches))
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

    def cycles(self, number: int) -> float:
        """A call of `fit` with an epoch per cycle, at whose end it saves."""
        x, arguments = self._input(len(self.data.x_train))
        history = self.model.fit(
            x, epochs=number, shuffle=False, verbose=0, callbacks=self._savers(), **arguments
        )
        return float(history.history["loss"][-1])

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
        assert self.kind is not None
        return self.folder / self.FILES[self.kind]

    def _savers(self) -> list[Any]:
        import keras

        if self.kind is None:
            return []
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
        if self.kind is None:
            return
        self.manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                model=self.model, optimizer=self.optimizer, global_step=self.global_step
            ),
            self.folder,
            max_to_keep=KEPT,
            step_counter=self.global_step,
            checkpoint_interval=self.every,
        )

    def _step(self, x, y):
        self.fast(x, y)

    def first(self, steps: int) -> float:
        """Without the manager."""
        self.controller.checkpoint_manager = None
        return OrbitLoop.train(self, batches=steps)

    def cycles(self, number: int) -> float:
        """`Controller.train`, which saves after each of its loops."""
        if self.kind is not None:
            self.controller.checkpoint_manager = self.manager
            self.manager.save = self.timed(type(self.manager).save.__get__(self.manager))
        return OrbitLoop.train(self, epochs=number)

    def restore(self) -> None:
        """As the controller does when it is made."""
        self.controller.checkpoint_manager = self.manager
        self.controller.restore_checkpoint()

    newest = HandSaving.newest
