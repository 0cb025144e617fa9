"""Timer: ends a run after a wall time."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Moment


class Timer(Callback):
    """Ends the run when it has lasted so long, and lets it take its checkpoint.

    The run ends at the step boundary nearest to the time, as the speed so far lets it be foretold;
    validation and checkpoints that are running are not cut short. Time that was spent before a run
    was killed and resumed counts, as far as its last checkpoint knows of it.

    Args:
        duration: seconds, or a `datetime.timedelta`.

    Raises:
        ValueError: `duration` is not above 0.

    Example:
        >>> Timer(datetime.timedelta(hours=1, minutes=30)).duration
        5400.0
    """

    def __init__(self, duration: float | datetime.timedelta) -> None:
        if isinstance(duration, datetime.timedelta):
            duration = duration.total_seconds()
        if isinstance(duration, bool) or not isinstance(duration, (int, float)) or duration <= 0:
            raise ValueError(
                f"Timer(duration={duration!r}): it must be seconds above 0, or a timedelta."
            )
        self.duration = float(duration)
        self.before = 0.0
        self._run: Run | None = None
        self.when = _After(self)

    def on_train_begin(self, run: Run) -> None:
        """Forgets earlier fits."""
        self.before, self._run = 0.0, run

    def __call__(self, report: Report) -> Control | None:
        """Ends the run: the time is over."""
        spent = self.before + report.seconds
        return Control(stop=f"Timer: {spent:.1f} of {self.duration:.6g} seconds are over")

    def memory(self) -> Mapping[str, Any]:
        """The time spent so far."""
        return {"spent": self.before + (0.0 if self._run is None else self._run.seconds)}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Counts what `memory` gave."""
        self.before = memory["spent"]


class _After:
    """Due once the timer's duration is over."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer

    def next(self, moment: Moment) -> int:
        """The step at which the time will be over, at the speed so far."""
        left = self._timer.duration - self._timer.before - moment.seconds
        if not moment.step_seconds:
            return moment.step + 1
        return moment.step + max(1, int(left / moment.step_seconds))

    def due(self, moment: Moment) -> bool:
        """Whether it is over."""
        return self._timer.before + moment.seconds >= self._timer.duration
