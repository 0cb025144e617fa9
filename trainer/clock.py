"""Clock: where the time of a fit goes, as parts that add up to the whole."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PARTS = {
    "setup": "opening data, building, restoring",
    "compile": "tracing and compiling, with the steps of those calls",
    "input": "waiting for batches",
    "step": "compiled steps",
    "validation": "validation",
    "callbacks": "callbacks",
    "checkpoint": "taking checkpoints",
    "host": "the loop itself",
}


class Clock:
    """Counts every moment to exactly one part; the host is told a part about twice a call.

    Attributes:
        seconds: part -> seconds so far.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._part = "setup"
        self._since = time.perf_counter()

    def enter(self, part: str) -> str:
        """From now on time is counted to `part`; gives the part before."""
        now, before = time.perf_counter(), self._part
        self.seconds[before] += now - self._since
        self._part, self._since = part, now
        return before

    @contextmanager
    def during(self, part: str) -> Iterator[None]:
        """While open, time is counted to `part`."""
        before = self.enter(part)
        try:
            yield
        finally:
            self.enter(before)

    def move(self, seconds: float, source: str, target: str) -> None:
        """Counts time to another part than it was, as a call turns out to have compiled."""
        self.seconds[source] -= seconds
        self.seconds[target] += seconds

    def read(self) -> dict[str, float]:
        """Part -> seconds up to now."""
        self.enter(self._part)
        return dict(self.seconds)


class TimeSpent(Mapping[str, float]):
    """Part -> seconds of a fit that is over; as text a table, largest first.

    Example:
        >>> spent = TimeSpent({"step": 3.0, "input": 1.0})
        >>> spent.line
        '4.0 s: step 75%, input 25%'
    """

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = dict(sorted(seconds.items(), key=lambda item: -item[1]))

    @property
    def total(self) -> float:
        """All seconds."""
        return sum(self._seconds.values())

    @property
    def line(self) -> str:
        """One line, of what takes at least a hundredth."""
        total = self.total or 1.0
        shares = [f"{k} {v / total:.0%}" for k, v in self._seconds.items() if v >= 0.01 * total]
        return f"{self.total:.1f} s: {', '.join(shares)}"

    def __getitem__(self, part: str) -> float:
        return self._seconds[part]

    def __iter__(self) -> Iterator[str]:
        return iter(self._seconds)

    def __len__(self) -> int:
        return len(self._seconds)

    def __repr__(self) -> str:
        total = self.total or 1.0
        lines = [
            f"{part:<10} {seconds:9.2f} s {seconds / total:6.1%}  {PARTS.get(part, '')}"
            for part, seconds in self._seconds.items()
            if seconds > 0
        ]
        return "\n".join([*lines, f"{'in all':<10} {self.total:9.2f} s"])
