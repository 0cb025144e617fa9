"""LearningRateScheduler: a function of the epoch that says the learning rate."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

from trainer.callbacks import rates
from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch, as Keras's does.

    For a rate that changes with every step pass a schedule to the optimizer instead: it is computed
    inside the compiled step.

    Args:
        schedule: `schedule(epoch, learning_rate)`, or `schedule(epoch)`: the rate of the epoch
            (counted from 0), given the one it has.
        verbose: 1 prints the rate of each epoch.
        optimizer: path of the one whose rate it is, "optimizer/kernel$" of a group; all of them
            when not given.

    Raises:
        TypeError: `schedule` is no function.
        ValueError: as training begins, the rate cannot be set; later, what `schedule` gave is no
            finite number.
    """

    when = Every(epochs=1)

    def __init__(
        self, schedule: Callable[..., float], verbose: int = 0, *, optimizer: str | None = None
    ) -> None:
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler(schedule={schedule!r}): it must be a function of the epoch."
            )
        self.schedule, self.verbose, self.optimizer = schedule, verbose, optimizer
        self._takes_rate = _takes_two(schedule)
        self._paths: list[str] = []

    def on_train_begin(self, run: Run) -> None:
        """Sets the rate of the first epoch; a run that is resumed has its rate already."""
        self._paths = rates.chosen(run, self.optimizer, "LearningRateScheduler")
        if run.step == run.start_step:
            self._set(run, run.epoch)

    def __call__(self, report: Report) -> Control | None:
        """Sets the rate of the next epoch."""
        last = report.run.epochs is not None and report.epoch >= report.run.epochs
        if not last:  # the rate stays that of the last epoch, as Keras leaves it
            self._set(report.run, report.epoch)
        return None

    def _set(self, run: Run, epoch: int) -> None:
        for path in self._paths:
            old = rates.read(run, path)
            new = self.schedule(epoch, old) if self._takes_rate else self.schedule(epoch)
            try:
                new = float(new)
            except (TypeError, ValueError):
                new = math.nan
            if not math.isfinite(new):
                raise ValueError(
                    f"the schedule of LearningRateScheduler gave no finite number for epoch {epoch}"
                )
            rates.write(run, [path], new)
            if self.verbose:
                print(f"Epoch {epoch + 1}: LearningRateScheduler sets {path} to {new:.6g}.")


def _takes_two(schedule: Callable[..., float]) -> bool:
    """Whether a function takes the learning rate beside the epoch."""
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except (TypeError, ValueError):  # it does not, or is a builtin that does not tell
        return False
    return True
