"""ThresholdStop: ends a run that is good enough."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.monitor import MODES, direction
from trainer.callbacks.triggers import Every, Trigger


class ThresholdStop(Callback):
    """Ends the run when the monitored value has reached a threshold.

    Args:
        monitor: name of the value.
        threshold: the value that is good enough: at least it, or at most it, by the direction.
        mode: "min" or "max", where the better values are; "auto" asks the metric, then the name.
        when: the trigger; the end of every epoch when not given.

    Raises:
        ValueError: `mode` is none of these, or nothing says which way is better.
        TypeError: `threshold` is no number.
    """

    def __init__(
        self, monitor: str, threshold: float, mode: str = "auto", *, when: Trigger | None = None
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"ThresholdStop(mode={mode!r}): mode must be one of {MODES}.")
        if isinstance(threshold, (bool, str)) or not hasattr(threshold, "__float__"):
            raise TypeError(
                f"ThresholdStop(threshold={threshold!r}): it must be a number, such as 0.95."
            )
        self.monitor, self.threshold, self.mode = monitor, float(threshold), mode
        self.when = when or Every(epochs=1)
        self._way = "min"

    @property
    def monitors(self) -> Sequence[str]:
        """The monitored name."""
        return (self.monitor,)

    def on_train_begin(self, run: Run) -> None:
        """Finds the direction."""
        self._way = direction(self.monitor, self.mode, run.monitored, "ThresholdStop")

    def __call__(self, report: Report) -> Control | None:
        """Checks the value, if it is there."""
        value = report.logs.get(self.monitor)
        if value is None:
            return None
        reached = value >= self.threshold if self._way == "max" else value <= self.threshold
        if not reached:
            return None
        return Control(
            stop=f"ThresholdStop: {self.monitor} is {value:.6g}, which reaches {self.threshold:.6g}"
        )
