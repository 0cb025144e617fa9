"""Gauges: the instruments of a run: when each is due, and what they have read so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from trainer.callbacks.triggers import Every, Moment, Validated
from trainer.instruments.base import Instrument


class Readings(NamedTuple):
    """What an instrument has read since a callback was last called.

    Attributes:
        steps: the steps at which it was due, int64 `[m]`, counted from 1.
        values: name -> float32 `[m, ...]`.
    """

    steps: np.ndarray
    values: Mapping[str, np.ndarray]


class Gauges:
    """The instruments of a run, each once.

    Args:
        instruments: those of its callbacks.
        rehearsed: each is due at every step, whatever its trigger says: for a dry run.
    """

    def __init__(self, instruments: Iterable[Instrument], *, rehearsed: bool = False) -> None:
        self._kept: dict[Instrument, list[tuple[int, Mapping[str, np.ndarray]]]]
        self._kept = {instrument: [] for instrument in instruments}
        self._fired = dict.fromkeys(self._kept, 0.0)
        self._rehearsed = rehearsed

    def check(self, steps_per_epoch: int | None) -> None:
        """Refuses what could never be due.

        Raises:
            ValueError: an instrument counts epochs, and no one knows where they end.
            TypeError: its trigger cannot be foretold.
        """
        for instrument in self._kept:
            when = instrument.when
            if isinstance(when, Validated):
                raise TypeError(
                    f"{instrument}: an instrument reads a step while it runs, so it cannot be due "
                    "after a validation; use Every(...) or At(...)."
                )
            if steps_per_epoch is None and isinstance(when, Every) and when.epochs:
                raise ValueError(
                    f"{instrument}: the data does not tell how long an epoch is, so its last step "
                    "cannot be foretold; use Every(steps=...), or pass steps_per_epoch= to fit."
                )

    def next(self, moment: Moment, most: int) -> tuple[int, tuple[Instrument, ...]]:
        """How many steps the next call makes, and the instruments that read each of them.

        Args:
            moment: where the run stands.
            most: the most that it may make.
        """
        if not self._kept:
            return most, ()
        at = {instrument: self._next(instrument, moment) for instrument in self._kept}
        due = tuple(i for i, step in at.items() if step == moment.step + 1)
        if not due:
            return min(most, min(at.values()) - 1 - moment.step), ()
        every_step = all(isinstance(i.when, Every) and i.when.steps == 1 for i in due)
        others = [step for instrument, step in at.items() if instrument not in due]
        if not every_step:
            return 1, due
        return min([most, *(step - 1 - moment.step for step in others)]), due

    def _next(self, instrument: Instrument, moment: Moment) -> int:
        if self._rehearsed:
            return moment.step + 1
        moment = dataclasses.replace(moment, fired=self._fired[instrument])
        return max(moment.step + 1, instrument.when.next(moment))

    def add(
        self,
        first_step: int,
        found: Mapping[Instrument, Mapping[str, np.ndarray]],
        seconds: float,
    ) -> None:
        """Keeps what was read of consecutive steps: instrument -> name -> `[n, ...]`."""
        for instrument, values in found.items():
            self._fired[instrument] = seconds
            for i in range(len(next(iter(values.values()), ()))):
                one = {name: value[i] for name, value in values.items()}
                self._kept[instrument].append((first_step + i, one))

    def since(self, step: int) -> dict[Instrument, Readings]:
        """What was read after a step, of each instrument that read anything."""
        found = {}
        for instrument, kept in self._kept.items():
            new = [(s, values) for s, values in kept if s > step]
            if new:
                steps = np.array([s for s, _ in new], np.int64)
                values = {name: np.stack([v[name] for _, v in new]) for name in new[0][1]}
                found[instrument] = Readings(steps, values)
        return found

    def forget(self, step: int) -> None:
        """Drops what was read up to a step: everybody has been told."""
        for kept in self._kept.values():
            kept[:] = [entry for entry in kept if entry[0] > step]

    def memory(self) -> dict[str, Any]:
        """What is kept, for a checkpoint."""
        return {
            repr(instrument): [[step, dict(values)] for step, values in kept]
            for instrument, kept in self._kept.items()
        }

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Puts back what `memory` gave; of instruments that are there no more nothing is kept."""
        for instrument, kept in self._kept.items():
            kept[:] = [(step, values) for step, values in memory.get(repr(instrument), [])]
