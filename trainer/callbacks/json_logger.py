"""JSONLogger: a line of JSON at each call, and for each step if wanted."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.rows import RowFile
from trainer.callbacks.triggers import Every, Trigger


class JSONLogger(Callback):
    """Writes JSON lines: one object a line, `{"step": 100, "epoch": 2, "loss": 0.31, ...}`.

    An object at each call has "step", "epoch" (completed), "seconds" since fit began and the
    reported values; with `steps` there is one before it for each step since, with "step" and the
    values of that step alone, and without "epoch". JSON has no words for numbers that are not
    finite: they are written as the strings "NaN", "Infinity" and "-Infinity", which Python's
    `float` reads. A run that is resumed goes on with the file, without a line lost or doubled.

    Args:
        filename: the file; its folder is made.
        append: go on after the lines of an earlier fit, instead of in place of them.
        steps: also write every step.
        when: the trigger; the end of every epoch when not given.
    """

    writes_to = ("filename",)
    chief_only = True

    def __init__(
        self,
        filename: str | os.PathLike[str],
        append: bool = False,
        *,
        steps: bool = False,
        when: Trigger | None = None,
    ) -> None:
        self.filename, self.append, self.steps = os.fspath(filename), append, steps
        self.when = when or Every(epochs=1)
        self._file: RowFile | None = None

    def on_train_begin(self, run: Run) -> None:
        """Opens the file."""
        self._file = RowFile(self.filename, self.append)

    def __call__(self, report: Report) -> Control | None:
        """Writes the lines."""
        assert self._file is not None
        found = list(_each_step(report)) if self.steps else []
        at = {"step": report.step, "epoch": report.epoch, "seconds": round(report.seconds, 6)}
        found.append({**at, **report.logs})
        self._file.add("".join(_line(values) for values in found))
        return None

    def memory(self) -> Mapping[str, Any]:
        """How long the file is."""
        return {"size": 0 if self._file is None else self._file.size}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on after what `memory` knows of."""
        assert self._file is not None
        self._file.cut(memory["size"])


def _each_step(report: Report) -> Iterator[dict[str, float]]:
    names = list(report.steps)
    for values in zip(*(report.steps[name].tolist() for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _line(values: Mapping[str, float]) -> str:
    return json.dumps({name: _plain(value) for name, value in values.items()}) + "\n"


def _plain(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
