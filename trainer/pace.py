"""Pace: how long steps take, and so how many fit into one call that stays interruptible."""

from __future__ import annotations

CALL_SECONDS = 0.5  # the longest a call should last: Ctrl-C and the progress bar wait for its end
_GROWTH = 8  # a call makes at most so many times the steps of the one before, while pace is new


class Pace:
    """Learns the duration of a step from the calls made."""

    def __init__(self) -> None:
        self.step_seconds: float | None = None
        self._last = 0

    def limit(self) -> int:
        """The most steps the next call should make."""
        if not self._last:
            return 1  # compiles; says nothing of the pace
        if self.step_seconds is None:
            return 4
        return max(1, min(_GROWTH * self._last, int(CALL_SECONDS / self.step_seconds)))

    def add(self, steps: int, seconds: float, compiled: bool) -> None:
        """Learns from a call of `steps` steps; one that `compiled` tells nothing."""
        if compiled:
            self._last = max(self._last, 1)
            return
        new = seconds / steps
        weight = min(1.0, steps / max(self._last, 1))  # a short call says little
        old = self.step_seconds
        self.step_seconds = new if old is None else old + 0.5 * weight * (new - old)
        self._last = steps if steps > self._last else self._last
