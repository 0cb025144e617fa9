"""LearningRateMonitor: every change of a learning rate, with the step at which it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every, Trigger
from trainer.learning_rates import is_rate


class LearningRateMonitor(Callback):
    """Keeps the learning rate that updates were really made with, wherever it changes.

    The compiled loop reports the rate of each step; so a schedule, another callback and an
    assignment of one's own are seen alike.

    Args:
        verbose: 1 prints the rates when called, if they have changed since.
        when: the trigger; the end of every epoch when not given.

    Attributes:
        changes: name -> list of (step, rate), the first step and those whose rate is another than
            that of the step before. A name is "learning_rate", of one of several optimizers
            "g_optimizer/learning_rate", of a group of `optimizers.Groups` "kernel$/learning_rate".
    """

    def __init__(self, verbose: int = 0, *, when: Trigger | None = None) -> None:
        self.verbose = verbose
        self.when = when or Every(epochs=1)
        self.changes: dict[str, list[tuple[int, float]]] = {}

    def on_train_begin(self, run: Run) -> None:
        """Forgets earlier fits."""
        self.changes = {}

    def __call__(self, report: Report) -> Control | None:
        """Looks through the steps since the last call."""
        fresh = self._look(report)
        if self.verbose and fresh:
            told = ", ".join(f"{name} {self.changes[name][-1][1]:.6g}" for name in fresh)
            print(f"Epoch {report.epoch}, step {report.step}: {told}")
        return None

    def on_train_end(self, report: Report) -> None:
        """Looks through the last steps."""
        self._look(report)

    def memory(self) -> Mapping[str, Any]:
        """The changes so far."""
        return {"changes": {name: list(found) for name, found in self.changes.items()}}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave."""
        self.changes = {
            name: [(int(step), float(rate)) for step, rate in found]
            for name, found in memory["changes"].items()
        }

    def _look(self, report: Report) -> list[str]:
        """Names whose rate has changed."""
        numbers, fresh = report.steps["step"], []
        for name in report.steps:
            if not is_rate(name) or not len(numbers):
                continue
            rates, found = report.steps[name], self.changes.setdefault(name, [])
            before = np.concatenate([[found[-1][1] if found else np.nan], rates[:-1]])
            at = np.flatnonzero(rates != before)
            found.extend((int(numbers[i]), float(rates[i])) for i in at)
            fresh += [name] if len(at) else []
        return fresh
