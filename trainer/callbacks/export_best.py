"""ExportBest: a SavedModel of the best model so far, ready to be served."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.monitor import MODES, better, direction
from trainer.callbacks.triggers import Every, Trigger


class ExportBest(Callback):
    """Exports the model whenever the monitored value is the best so far, in place of the last one.

    The folder holds a whole SavedModel at any time: a new one takes its place in one move. What is
    exported are the weights that were evaluated (see `SwapEMAWeights`).

    Args:
        path: the folder; those above it are made.
        monitor: name of the value.
        mode: "min" or "max", where the better values are; "auto" asks the metric, then the name.
        verbose: 1 prints what was exported.
        when: the trigger; the end of every epoch when not given.

    Attributes:
        best: the best value so far; None before the first.
        best_step: the step at which it was exported.
    """

    writes_to = ("path",)
    chief_only = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "val_loss",
        mode: str = "auto",
        verbose: int = 0,
        *,
        when: Trigger | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"ExportBest(mode={mode!r}): mode must be one of {MODES}.")
        self.path, self.monitor, self.mode, self.verbose = os.fspath(path), monitor, mode, verbose
        self.when = when or Every(epochs=1)
        self.best: float | None = None
        self.best_step = 0
        self._way = "min"

    @property
    def monitors(self) -> Sequence[str]:
        """The monitored name."""
        return (self.monitor,)

    def on_train_begin(self, run: Run) -> None:
        """Finds the direction and forgets earlier fits."""
        self._way = direction(self.monitor, self.mode, run.monitored, "ExportBest")
        self.best, self.best_step = None, 0

    def __call__(self, report: Report) -> Control | None:
        """Exports, if the value is the best."""
        value = report.logs.get(self.monitor)
        if value is None or not better(value, self.best, self._way):
            return None
        pathlib.Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        report.run.export(self.path)
        self.best, self.best_step = float(value), report.step
        if self.verbose:
            print(f"Step {report.step}, {self.monitor} {value:.6g}: exported to {self.path}")
        return None

    def memory(self) -> Mapping[str, Any]:
        """The best so far."""
        return {"best": self.best, "best_step": self.best_step}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave."""
        self.best, self.best_step = memory["best"], memory["best_step"]
