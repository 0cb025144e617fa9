"""ModelCheckpoint: the model's weights in files: each, the last k, or the k best."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.monitor import MODES, better, direction
from trainer.callbacks.triggers import Every, Trigger

_AT = ("epoch", "step")


class ModelCheckpoint(Callback):
    """Writes the model's weights to `.npz` or `.safetensors` files, for use elsewhere.

    Arguments are Keras's, with three departures. Only weights are written, and `save_weights_only`
    may not be False: what a run needs to go on (optimizer, place in the epoch, random state) is
    kept by `Trainer(checkpoint=Checkpoint(folder, keep_best=...))`. `save_freq` may be any trigger.
    And `keep` limits the files. A value that is NaN is never the best. Each file appears whole or
    not at all; read one with `trainer.load_weights(path)`.

    Args:
        filepath: name of a file; `{epoch}` (completed, the open one included), `{step}` and the
            reported values are filled in: "best.npz", "run/{epoch:03d}-{val_loss:.2f}.npz". Folders
            are made.
        monitor: name of the value, for `save_best_only`.
        verbose: 1 prints what was written.
        save_best_only: write only where the value is the best so far; with `keep`, where it is
            among the `keep` best.
        save_weights_only: True.
        mode: "min" or "max", where the better values are; "auto" asks the metric, then the name.
        save_freq: "epoch", a number of steps, or a trigger.
        initial_value_threshold: only values better than this are written.
        keep: how many files are kept, of all that this callback has written (in this run, resumed
            or not): the last, or with `save_best_only` the best. None keeps all.

    Attributes:
        best: the best value so far; None before the first.
        best_path: its file, while it is kept.
    """

    writes_to = ("filepath",)
    chief_only = True

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = True,
        mode: str = "auto",
        save_freq: str | int | Trigger = "epoch",
        initial_value_threshold: float | None = None,
        *,
        keep: int | None = None,
    ) -> None:
        self.filepath = os.fspath(filepath)
        if not self.filepath.endswith((".npz", ".safetensors")):
            raise ValueError(
                f"ModelCheckpoint(filepath={self.filepath!r}): it must end in .npz or .safetensors."
            )
        if not save_weights_only:
            raise ValueError(
                "ModelCheckpoint(save_weights_only=False): it writes weights. Everything a run "
                "needs is kept by Trainer(..., checkpoint=Checkpoint(folder, keep_best=1, "
                "monitor=...)); a model to serve by ExportBest."
            )
        if mode not in MODES:
            raise ValueError(f"ModelCheckpoint(mode={mode!r}): mode must be one of {MODES}.")
        if keep is not None and (isinstance(keep, bool) or not keep >= 1):
            raise ValueError(f"ModelCheckpoint(keep={keep!r}): a whole number from 1 on, or None.")
        self.monitor, self.mode, self.verbose = monitor, mode, verbose
        self.save_best_only, self.keep = save_best_only, keep
        self.initial_value_threshold = initial_value_threshold
        self.when = _trigger(save_freq)
        self.best: float | None = None
        self.best_path: str | None = None
        self._files: list[tuple[str, float | None]] = []  # what was written, and its value
        self._way = "min"

    @property
    def monitors(self) -> Sequence[str]:
        """The monitored name, where it is needed."""
        return (self.monitor,) if self.save_best_only else ()

    def on_train_begin(self, run: Run) -> None:
        """Finds the direction and forgets earlier fits.

        Raises:
            ValueError: `filepath` names a value that is not reported.
        """
        if self.save_best_only:
            self._way = direction(self.monitor, self.mode, run.monitored, "ModelCheckpoint")
        self._path({**dict.fromkeys(run.names, 0.5), "epoch": 1, "step": 1}, run.names)
        self.best, self.best_path, self._files = self.initial_value_threshold, None, []

    def __call__(self, report: Report) -> Control | None:
        """Writes the weights, if they are wanted."""
        value = report.logs.get(self.monitor)
        if self.save_best_only and not self._wanted(value):
            return None
        epoch = report.epoch if report.epoch_end else report.epoch + 1
        at = {"epoch": epoch, "step": report.step}
        path = self._path({**report.logs, **at}, [*report.logs])
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        report.run.save_weights(path)
        self._files = [entry for entry in self._files if entry[0] != path] + [(path, value)]
        if self.save_best_only and better(float(value or 0.0), self.best, self._way):
            self.best, self.best_path = float(value or 0.0), path
        if self.verbose:
            told = f", {self.monitor} {value:.6g}" if value is not None else ""
            print(f"Epoch {epoch}, step {report.step}{told}: weights written to {path}")
        self._prune()
        return None

    def memory(self) -> Mapping[str, Any]:
        """The best so far, and what was written."""
        return {
            "best": self.best,
            "best_path": self.best_path,
            "files": [list(entry) for entry in self._files],
        }

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave."""
        self.best, self.best_path = memory["best"], memory["best_path"]
        self._files = [(path, value) for path, value in memory["files"]]

    def _wanted(self, value: float | None) -> bool:
        """Whether a value is the best, or among those that are kept."""
        if value is None or not better(value, self.initial_value_threshold, self._way):
            return False
        kept = [v for _, v in self._files if v is not None]
        if self.keep is not None and len(kept) < self.keep:
            return True
        than = self.best if self.keep is None else self._worst(kept)
        return better(value, than, self._way)

    def _worst(self, values: Sequence[float]) -> float:
        return max(values) if self._way == "min" else min(values)

    def _prune(self) -> None:
        """Removes what is one too many."""
        while self.keep is not None and len(self._files) > self.keep:
            index = 0
            if self.save_best_only:
                values = [v for _, v in self._files if v is not None]
                index = values.index(self._worst(values))
            pathlib.Path(self._files.pop(index)[0]).unlink(missing_ok=True)

    def _path(self, values: Mapping[str, float], names: Sequence[str]) -> str:
        try:
            return self.filepath.format(**values)
        except (KeyError, IndexError) as error:
            raise ValueError(
                f"ModelCheckpoint(filepath={self.filepath!r}): {error} is not reported here; there "
                f"are {', '.join([*_AT, *names])}."
            ) from None


def _trigger(save_freq: Any) -> Trigger:
    if save_freq == "epoch":
        return Every(epochs=1)
    if hasattr(save_freq, "next") and hasattr(save_freq, "due"):
        return save_freq
    if isinstance(save_freq, int) and not isinstance(save_freq, bool):
        return Every(steps=save_freq)
    raise ValueError(
        f"ModelCheckpoint(save_freq={save_freq!r}): it is 'epoch', a number of steps, or a trigger "
        "such as Every(seconds=600)."
    )
