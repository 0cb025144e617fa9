"""History: every epoch's values as Keras gives them, and every step's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from trainer.clock import TimeSpent


class History:
    """What one call of fit recorded.

    Attributes:
        history: name -> list of epoch values, as in Keras: floats, or arrays from a metric of
            several values. A value that some epochs do not have (a validation every second epoch)
            has a shorter list.
        epoch: the epochs recorded, counted from 0 as in Keras.
        epoch_steps: the step at which each of them ended.
        stopped: why the run ended before it was asked to, or None.
        time: where the seconds of this call went, in this process; None while it runs.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.epoch_steps: list[int] = []
        self.stopped: str | None = None
        self.time: TimeSpent | None = None
        self._columns: dict[str, _Column] = {}
        self._numbers = _Column(np.int64)

    @property
    def steps(self) -> Mapping[str, np.ndarray]:
        """Name -> value of each step, float64 `[n]`; `"step"`: its number, counted from 1, int64.

        An entry is copied out of the storage (float32) when it is asked for. A value that some
        steps did not give is NaN there.
        """
        return _Steps(self._numbers, self._columns, 0, self._numbers.size)

    def since(self, step: int) -> Mapping[str, np.ndarray]:
        """`steps`, of the steps after number `step` only; costs nothing before it is read."""
        numbers = self._numbers.values()
        start = int(np.searchsorted(numbers, step, side="right"))
        return _Steps(self._numbers, self._columns, start, self._numbers.size)

    def add_steps(self, first_step: int, columns: Mapping[str, np.ndarray]) -> None:
        """Adds consecutive steps.

        Args:
            first_step: number of the first of them; must follow what is there.
            columns: name -> values `[n]`, one per step.
        """
        columns = {name: np.asarray(c) for name, c in columns.items() if name != "step"}
        shapes = {name: column.shape for name, column in columns.items()}
        if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
            raise ValueError(f"the columns of add_steps must all be [n]; they are {shapes}.")
        n = next(iter(shapes.values()))[0] if shapes else 0
        have = self._numbers.size
        last = self._numbers.values()[-1] if have else 0
        if first_step <= last:
            raise ValueError(f"first_step={first_step}, but step {last} is recorded already.")
        self._numbers.extend(np.arange(first_step, first_step + n))
        for name, column in columns.items():
            if name not in self._columns:
                self._columns[name] = _Column(np.float32)
                self._columns[name].extend(np.full(have, np.nan))
            self._columns[name].extend(column)
        for name in self._columns.keys() - columns.keys():
            self._columns[name].extend(np.full(n, np.nan))

    def add_epoch(self, epoch: int, step: int, logs: Mapping[str, Any]) -> None:
        """Adds the values of an epoch that has ended.

        Args:
            epoch: epochs completed, this one included (`Report.epoch`).
            step: the step at which it ended.
            logs: name -> value.
        """
        follows = self.epoch[-1] + 1 if self.epoch else 0
        self.epoch.append(max(epoch - 1, follows))  # a last, unfinished epoch counts as one
        self.epoch_steps.append(step)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value if np.ndim(value) else float(value))

    def memory(self) -> dict[str, Any]:
        """Everything recorded, for a checkpoint; its arrays are views that stay as they are."""
        return {
            "history": {name: list(values) for name, values in self.history.items()},
            "epoch": list(self.epoch),
            "epoch_steps": list(self.epoch_steps),
            "stopped": self.stopped,
            "numbers": self._numbers.values(),
            "columns": {name: column.values() for name, column in self._columns.items()},
        }

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Puts back what `memory` gave."""
        self.history = {name: list(values) for name, values in memory["history"].items()}
        self.epoch, self.epoch_steps = list(memory["epoch"]), list(memory["epoch_steps"])
        self.stopped = memory["stopped"]
        self._numbers = _Column(np.int64)
        self._numbers.extend(memory["numbers"])
        self._columns = {name: _Column(np.float32) for name in memory["columns"]}
        for name, values in memory["columns"].items():
            self._columns[name].extend(values)

    def __repr__(self) -> str:
        epochs, steps = len(self.epoch), self._numbers.size
        head = f"{_count(epochs, 'epoch')}, {_count(steps, 'step')}"
        if self.stopped:
            head += f", stopped: {self.stopped}"
        lines = [
            f"{name} {values[0]:.4g}" + (f" -> {values[-1]:.4g}" if len(values) > 1 else "")
            for name, values in self.history.items()
            if not np.ndim(values[0])
        ]
        return f"History({head}{': ' if lines else ''}{', '.join(lines)})"


class _Column:
    """Numbers `[n]` that grow at the end: the room doubles, so n additions copy about 2n."""

    def __init__(self, dtype: Any) -> None:
        self._room = np.empty(0, dtype)
        self.size = 0

    def extend(self, values: np.ndarray) -> None:
        size = self.size + len(values)
        if size > len(self._room):
            room = np.empty(max(1024, 2 * size), self._room.dtype)
            room[: self.size] = self.values()
            self._room = room  # a view given before keeps the old room, which no one changes
        self._room[self.size : size] = values
        self.size = size

    def values(self) -> np.ndarray:
        return self._room[: self.size]


class _Steps(Mapping[str, np.ndarray]):
    """Some steps of a history, each column made only when it is asked for."""

    def __init__(
        self, numbers: _Column, columns: Mapping[str, _Column], start: int, stop: int
    ) -> None:
        self._part = slice(start, stop)
        self._numbers = numbers
        self._columns = columns

    def __getitem__(self, name: str) -> np.ndarray:
        if name == "step":
            return self._numbers.values()[self._part].copy()
        return self._columns[name].values()[self._part].astype(np.float64)

    def __iter__(self) -> Iterator[str]:
        yield "step"
        yield from self._columns

    def __len__(self) -> int:
        return 1 + len(self._columns)

    def __repr__(self) -> str:
        return f"<{_count(self._part.stop - self._part.start, 'step')} of {', '.join(self)}>"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
