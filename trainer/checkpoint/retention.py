"""Which checkpoints are kept: a pure function of what there is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """A checkpoint, as far as it matters for whether it is kept."""

    name: str
    step: int
    metrics: Mapping[str, float] = {}
    pinned: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retention:
    """Keeps the last few, the best few, and some of every stretch; removes all others.

    The newest checkpoint and pinned ones are always kept. A checkpoint counts once, for whichever
    reason it is kept.

    Args:
        keep_last: how many of the newest are kept, at least 1; None keeps all.
        keep_best: how many with the best `monitor` are kept beside them. Of two that are as good
            the earlier is better; NaN, or no value at all, is never among the best.
        monitor: the name of a metric, for `keep_best`.
        mode: "min" if lower values of it are better, "max" if higher ones are.
        keep_every: of every so many steps, the first checkpoint is kept for good: with 1000 the
            first at or after step 1000, the first at or after step 2000, and so on.

    Raises:
        ValueError: a number is out of range, or `keep_best` has no monitor.

    Example:
        >>> entries = [Entry(f"{i:06}", step=100 * i, metrics={"loss": 1 / i}) for i in range(1, 6)]
        >>> Retention(keep_last=1, keep_best=1, monitor="loss", mode="max").to_remove(entries)
        ['000002', '000003', '000004']
    """

    keep_last: int | None = 3
    keep_best: int = 0
    monitor: str | None = None
    mode: str = "min"
    keep_every: int | None = None

    def __post_init__(self) -> None:
        _check("keep_last", self.keep_last, least=1, optional=True)
        _check("keep_best", self.keep_best, least=0)
        _check("keep_every", self.keep_every, least=1, optional=True)
        if self.mode not in ("min", "max"):
            raise ValueError(f"Retention(mode={self.mode!r}): mode must be 'min' or 'max'.")
        if self.keep_best and not self.monitor:
            raise ValueError(
                f"Retention(keep_best={self.keep_best}): pass monitor='val_loss', or the name of "
                "another logged value, to say what is best."
            )

    def to_remove(self, entries: Sequence[Entry]) -> list[str]:
        """The names that are not kept, in the order given.

        Args:
            entries: every checkpoint there is, oldest first.
        """
        if self.keep_last is None:
            return []
        keep = {entry.name for entry in entries if entry.pinned}
        keep |= {entry.name for entry in entries[-self.keep_last :]}
        keep |= {entry.name for entry in self.best(entries)}
        keep |= self._firsts(entries)
        return [entry.name for entry in entries if entry.name not in keep]

    def best(self, entries: Sequence[Entry]) -> list[Entry]:
        """The `keep_best` best ones, the best first."""
        if not (self.keep_best and self.monitor):
            return []
        sign = 1.0 if self.mode == "min" else -1.0
        rated = [
            (sign * value, entry)
            for entry in entries
            if not math.isnan(value := entry.metrics.get(self.monitor, math.nan))
        ]
        return [entry for _, entry in sorted(rated, key=lambda pair: pair[0])[: self.keep_best]]

    def _firsts(self, entries: Sequence[Entry]) -> set[str]:
        if self.keep_every is None:
            return set()
        firsts: dict[int, str] = {}
        for entry in entries:
            stretch = entry.step // self.keep_every
            if stretch > 0:
                firsts.setdefault(stretch, entry.name)
        return set(firsts.values())


def _check(name: str, value: int | None, *, least: int, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        other = ", or None" if optional else ""
        raise ValueError(
            f"Retention({name}={value!r}): {name} must be a whole number from {least} on{other}."
        )
