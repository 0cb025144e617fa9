"""EarlyStopping: ends a run whose monitored value improves no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.monitor import MODES, better, direction
from trainer.callbacks.triggers import Every, Trigger


class EarlyStopping(Callback):
    """Ends the run when the monitored value has not improved for `patience` checks.

    Arguments and meaning are Keras's, with three departures. A check is made whenever `when` is
    due, so patience can count validations (`when=Validated()`) as well as epochs. A value that is
    NaN is never an improvement (in Keras a first NaN stays the best for ever). A check at which
    the value is missing, because nothing was validated there, does not count.

    Args:
        monitor: name of the value.
        min_delta: a smaller change is no improvement.
        patience: how many checks without improvement end the run.
        verbose: 1 prints why the run ended and what was restored.
        mode: "min" or "max", where the better values are; "auto" asks the metric, then the name.
        baseline: patience is not renewed before the value is better than this.
        restore_best_weights: puts the weights of the best check back when fit ends, however it
            ends; otherwise the last stay.
        start_from_epoch: epochs at the beginning that are not checked.
        when: the trigger; the end of every epoch when not given.

    Attributes:
        best: the best value so far; None before the first.
        best_epoch: epochs completed when it was seen.
        best_step: the step at which it was seen.
        wait: checks since the last improvement.
        stopped_epoch: epochs completed when the run was ended; 0 if it was not.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
        *,
        when: Trigger | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"EarlyStopping(mode={mode!r}): mode must be one of {MODES}.")
        if not hasattr(patience, "__index__") or patience < 0:
            raise ValueError(
                f"EarlyStopping(patience={patience!r}): it must be a whole number of checks."
            )
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.when = when or Every(epochs=1)
        self._way = "min"
        self.best: float | None = None
        self.best_epoch = 0
        self.best_step = 0
        self.best_weights: Any = None
        self.wait = 0
        self.stopped_epoch = 0

    @property
    def monitors(self) -> Sequence[str]:
        """The monitored name."""
        return (self.monitor,)

    def on_train_begin(self, run: Run) -> None:
        """Finds the direction and forgets earlier fits."""
        self._way = direction(self.monitor, self.mode, run.monitored, "EarlyStopping")
        self.best, self.best_weights = None, None
        self.best_epoch = self.best_step = self.wait = self.stopped_epoch = 0

    def __call__(self, report: Report) -> Control | None:
        """Checks the value."""
        value = report.logs.get(self.monitor)
        if value is None or report.epoch - report.epoch_end < self.start_from_epoch:
            return None
        improved = self._better(value, self.best)
        if improved or (self.restore_best_weights and self.best_weights is None):
            self._keep(report)
        self.wait += 1
        if improved:
            self.best = float(value)
            if self._better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience:
            self.stopped_epoch = report.epoch
            return Control(stop=self._reason(report))
        return None

    def on_train_end(self, report: Report) -> None:
        """Restores the best weights where that was asked for."""
        if self.restore_best_weights and self.best_weights is not None:
            if report.step != self.best_step:
                report.run.restore(self.best_weights)
                if self.verbose:
                    print(f"EarlyStopping: restored the weights of step {self.best_step}.")
            self.best_weights = None  # fit is over: do not hold a copy of the model any longer

    def memory(self) -> Mapping[str, Any]:
        """The best so far, its weights, and the patience that is left."""
        return {name: getattr(self, name) for name in self._MEMORY}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave."""
        for name in self._MEMORY:
            setattr(self, name, memory[name])

    _MEMORY = ("best", "best_epoch", "best_step", "best_weights", "wait", "stopped_epoch")

    def _better(self, value: float, than: float | None) -> bool:
        return better(value, than, self._way, self.min_delta)

    def _keep(self, report: Report) -> None:
        self.best_epoch, self.best_step = report.epoch, report.step
        if self.restore_best_weights:
            self.best_weights = report.run.snapshot()

    def _reason(self, report: Report) -> str:
        best = "it was never a number" if self.best is None else f"best {self.best:.6g}"
        at = f" at step {self.best_step}" if self.best is not None else ""
        checks = f"{self.wait} check{'' if self.wait == 1 else 's'}"
        reason = f"EarlyStopping: {self.monitor} has not improved for {checks} ({best}{at})"
        if self.verbose:
            print(f"Epoch {report.epoch}, step {report.step}: {reason}.")
        return reason
