"""NormMonitor: norms of gradients, weights and updates, and the ratio of the last two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every, Trigger
from trainer.instruments import Instrument, Norms


class NormMonitor(Callback):
    """Keeps the norms of each variable, read inside the compiled step every so many steps.

    TensorBoard draws them where both callbacks are in the list. Names are those of
    `instruments.Norms`: `gradient_norm/`, `weight_norm/`, `update_norm/` and `update_ratio/`, and
    the variable's path.

    Args:
        every: when the norms are read; every 100 steps when not given.
        verbose: 1 prints the smallest and the largest update ratio whenever it is called.
        when: when it looks at them; the end of every epoch when not given.

    Attributes:
        steps: the steps at which they were read.
        norms: name -> float64 `[m]`, one for each of the steps.
    """

    def __init__(
        self, every: Trigger | None = None, verbose: int = 0, *, when: Trigger | None = None
    ) -> None:
        self.instrument = Norms(every or Every(steps=100))
        self.verbose = verbose
        self.when = when or Every(epochs=1)
        self._steps: list[np.ndarray] = []
        self._values: dict[str, list[np.ndarray]] = {}

    @property
    def instruments(self) -> Sequence[Instrument]:
        """The norms."""
        return (self.instrument,)

    @property
    def steps(self) -> np.ndarray:
        """The steps at which norms were read, int64 `[m]`."""
        return np.concatenate([np.zeros(0, np.int64), *self._steps])

    @property
    def norms(self) -> dict[str, np.ndarray]:
        """Name -> float64 `[m]`."""
        return {
            name: np.concatenate(found).astype(np.float64) for name, found in self._values.items()
        }

    def on_train_begin(self, run: Run) -> None:
        """Forgets earlier fits."""
        self._steps, self._values = [], {}

    def __call__(self, report: Report) -> Control | None:
        """Keeps what was read."""
        if self._keep(report) and self.verbose:
            last = {
                name.removeprefix("update_ratio/"): float(found[-1][-1])
                for name, found in self._values.items()
                if name.startswith("update_ratio/")
            }
            low, high = min(last, key=last.__getitem__), max(last, key=last.__getitem__)
            print(
                f"Epoch {report.epoch}, step {self._steps[-1][-1]}: updates are {last[low]:.2g} of "
                f"{low} to {last[high]:.2g} of {high}"
            )
        return None

    def on_train_end(self, report: Report) -> None:
        """Keeps what was read since."""
        self._keep(report)

    def memory(self) -> Mapping[str, Any]:
        """What was read so far."""
        return {"steps": self.steps, "values": self.norms}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave."""
        self._steps = [np.asarray(memory["steps"], np.int64)]
        self._values = {name: [np.asarray(v)] for name, v in memory["values"].items()}

    def _keep(self, report: Report) -> bool:
        """Whether anything was read."""
        found = report.readings.get(self.instrument)
        if found is None:
            return False
        self._steps.append(found.steps)
        for name, values in found.values.items():
            self._values.setdefault(name, []).append(values)
        return True
