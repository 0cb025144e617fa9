"""CSVLogger: a row of a CSV file at each call."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.rows import RowFile
from trainer.callbacks.triggers import Every, Trigger


class CSVLogger(Callback):
    """Writes the values of each epoch to a CSV file.

    Columns are "epoch" (counted from 0, as in Keras), "step", and every name that the run reports,
    in the order in which it reports them; a value that a row does not have stays empty. A run that
    is resumed goes on with the file, without a row lost or doubled.

    Args:
        filename: the file; its folder is made.
        separator: between the columns.
        append: go on after the rows of an earlier fit, instead of in place of them.
        when: the trigger; the end of every epoch when not given.
    """

    writes_to = ("filename",)
    chief_only = True

    def __init__(
        self,
        filename: str | os.PathLike[str],
        separator: str = ",",
        append: bool = False,
        *,
        when: Trigger | None = None,
    ) -> None:
        if len(separator) != 1:
            raise ValueError(f"CSVLogger(separator={separator!r}): it must be one character.")
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self.when = when or Every(epochs=1)
        self._file: RowFile | None = None
        self._names: list[str] = []

    def on_train_begin(self, run: Run) -> None:
        """Opens the file.

        Raises:
            ValueError: it is to be appended to and has other columns.
        """
        self._file = RowFile(self.filename, self.append)
        self._names = list(run.names)
        if self._file.size:
            with open(self.filename, newline="") as file:
                have = next(csv.reader(file, delimiter=self.separator))
            if have != self._header():
                raise ValueError(
                    f"CSVLogger(append=True): {self.filename} has the columns {have}, and this run "
                    f"writes {self._header()}; use another file."
                )

    def __call__(self, report: Report) -> Control | None:
        """Writes a row."""
        assert self._file is not None
        epoch = report.epoch - 1 if report.epoch_end and report.epoch else report.epoch
        values = [report.logs.get(name, "") for name in self._names]
        rows = [] if self._file.size else [self._header()]
        self._file.add(self._text([*rows, [epoch, report.step, *values]]))
        return None

    def memory(self) -> Mapping[str, Any]:
        """How long the file is."""
        return {"size": 0 if self._file is None else self._file.size}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on after what `memory` knows of."""
        assert self._file is not None
        self._file.cut(memory["size"])

    def _header(self) -> list[str]:
        return ["epoch", "step", *self._names]

    def _text(self, rows: Sequence[Sequence[Any]]) -> str:
        out = io.StringIO()
        csv.writer(out, delimiter=self.separator, lineterminator="\n").writerows(rows)
        return out.getvalue()
