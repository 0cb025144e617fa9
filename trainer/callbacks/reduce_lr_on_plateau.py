"""ReduceLROnPlateau: a lower learning rate when the monitored value improves no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainer.callbacks import rates
from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.monitor import MODES, better, direction
from trainer.callbacks.triggers import Every, Trigger


class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by `factor` after `patience` checks without improvement.

    Arguments and meaning are Keras's. A check is made whenever `when` is due, so patience can
    count validations (`when=Validated()`) as well as epochs; one at which the value is missing
    does not count.

    Args:
        monitor: name of the value.
        factor: in (0, 1): new rate = old rate * factor.
        patience: checks without improvement before it is reduced.
        verbose: 1 prints each reduction.
        mode: "min" or "max", where the better values are; "auto" asks the metric, then the name.
        min_delta: a smaller change is no improvement.
        cooldown: checks after a reduction during which patience does not run.
        min_lr: the rate is never set below it.
        when: the trigger; the end of every epoch when not given.
        optimizer: path of the one whose rate it is, "g_optimizer", or of a group,
            "optimizer/kernel$"; all of them when not given.

    Raises:
        ValueError: a number is out of range; or, as training begins, the rate cannot be set.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        *,
        when: Trigger | None = None,
        optimizer: str | None = None,
    ) -> None:
        if not 0.0 < factor < 1.0:
            raise ValueError(f"ReduceLROnPlateau(factor={factor!r}): it must be in (0, 1).")
        if mode not in MODES:
            raise ValueError(f"ReduceLROnPlateau(mode={mode!r}): mode must be one of {MODES}.")
        limits = {"patience": patience, "cooldown": cooldown, "min_lr": min_lr}
        for name, value in {**limits, "min_delta": min_delta}.items():
            if value < 0:
                raise ValueError(f"ReduceLROnPlateau({name}={value!r}): it must not be negative.")
        self.monitor, self.factor, self.patience, self.verbose = monitor, factor, patience, verbose
        self.mode, self.min_delta, self.cooldown, self.min_lr = mode, min_delta, cooldown, min_lr
        self.optimizer = optimizer
        self.when = when or Every(epochs=1)
        self.best: float | None = None
        self.wait = self.cooldown_counter = 0
        self._way = "min"
        self._paths: list[str] = []

    @property
    def monitors(self) -> Sequence[str]:
        """The monitored name."""
        return (self.monitor,)

    def on_train_begin(self, run: Run) -> None:
        """Finds the direction and the optimizers, and forgets earlier fits."""
        self._way = direction(self.monitor, self.mode, run.monitored, "ReduceLROnPlateau")
        self._paths = rates.chosen(run, self.optimizer, "ReduceLROnPlateau")
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def __call__(self, report: Report) -> Control | None:
        """Checks the value."""
        value = report.logs.get(self.monitor)
        if value is None:
            return None
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if better(value, self.best, self._way, self.min_delta):
            self.best, self.wait = float(value), 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience and self._reduce(report):
                self.cooldown_counter, self.wait = self.cooldown, 0
        return None

    def memory(self) -> Mapping[str, Any]:
        """The best so far and the patience that is left; rates are the optimizers' own."""
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave."""
        for name, value in memory.items():
            setattr(self, name, value)

    def _reduce(self, report: Report) -> bool:
        """Whether any rate could be reduced."""
        reduced = False
        for path in self._paths:
            old = rates.read(report.run, path)
            if old <= np.float32(self.min_lr):
                continue
            new = max(old * self.factor, self.min_lr)
            rates.write(report.run, [path], new)
            reduced = True
            if self.verbose:
                print(
                    f"Epoch {report.epoch}, step {report.step}: ReduceLROnPlateau sets the "
                    f"learning rate of {path} to {new:.6g}."
                )
        return reduced
