"""TerminateOnNaN: ends a run whose loss is no number any more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every, Trigger


class TerminateOnNaN(Callback):
    """Ends the run when a loss was NaN or infinite at any step, and names the first such step.

    Every step's value is looked at, but only when due, so that no step waits: by default once a
    second and at the end of every epoch. (Keras's looks after every batch, and so makes each wait.)

    Args:
        names: what to look at; when not given, all that each step reports with "loss" in the name.
        when: the trigger.
    """

    def __init__(self, names: Sequence[str] | None = None, *, when: Trigger | None = None) -> None:
        if isinstance(names, str):
            names = [names]
        self.names = None if names is None else tuple(names)
        self.when = when or Every(seconds=1) | Every(epochs=1)
        self._watched: tuple[str, ...] = ()

    @property
    def monitors(self) -> Sequence[str]:
        """The names that were given."""
        return self.names or ()

    def on_train_begin(self, run: Run) -> None:
        """Finds what to look at.

        Raises:
            ValueError: no reported name has "loss" in it, and no names were given.
        """
        own = [name for name in run.names if not name.startswith("val_")]
        self._watched = self.names or tuple(name for name in own if "loss" in name.lower())
        if not self._watched:
            raise ValueError(
                f"TerminateOnNaN: no reported name has 'loss' in it; pass names=, of "
                f"{', '.join(own)}."
            )

    def __call__(self, report: Report) -> Control | None:
        """Looks at all steps since the last call."""
        for name in self._watched:
            values = self._values(report, name)
            if bad := np.flatnonzero(~np.isfinite(values)).tolist():
                step = report.steps["step"][bad[0]] if name in report.steps else report.step
                return Control(stop=f"TerminateOnNaN: {name} is {values[bad[0]]} at step {step}")
        return None

    def _values(self, report: Report, name: str) -> np.ndarray:
        """Of each step, or what there is of it now."""
        if name in report.steps:
            return report.steps[name]
        return np.array([report.logs[name]] if name in report.logs else [])
