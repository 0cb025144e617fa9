"""learning_rate_range: the loss at learning rates from far too small to far too large."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.rates import chosen, write
from trainer.callbacks.triggers import Every
from trainer.inspect import plots

if TYPE_CHECKING:
    from trainer.trainer import Trainer

_SMOOTH = 0.9  # of the moving average of losses
_BLOWN = 4.0  # times the best loss, at which the test ends


class RateRange:
    """The losses of a learning-rate range test.

    Attributes:
        rates: `[n]`, the learning rate of each step, growing.
        losses: `[n]`, the loss of each step, before its update.
        smoothed: `[n]`, their moving average, without the bias of its beginning.
        suggestion: where the smoothed loss falls fastest, but no more than a third of the rate
            at which it is least; None if it never falls.
    """

    def __init__(self, rates: np.ndarray, losses: np.ndarray) -> None:
        self.rates, self.losses = rates, losses
        weights = 1.0 - _SMOOTH ** np.arange(1, len(losses) + 1)
        total, smoothed = 0.0, []
        for loss in losses:
            total = _SMOOTH * total + (1.0 - _SMOOTH) * loss
            smoothed.append(total)
        self.smoothed = np.array(smoothed) / weights
        self.suggestion = self._suggest()

    def _suggest(self) -> float | None:
        lowest = int(np.argmin(self.smoothed))
        fall = self.smoothed[0] - self.smoothed[lowest]
        if lowest < 2 or fall <= 1e-6 * abs(self.smoothed[0]):
            return None
        slope = np.gradient(self.smoothed, np.log(self.rates))
        steepest = int(np.argmin(slope[: lowest + 1]))
        return float(min(self.rates[steepest], self.rates[lowest] / 3.0))

    def plot(self, path: Any) -> None:
        """Draws the losses over the rates to a file (.png, .svg, .pdf)."""
        made = plots.figure()
        axes = made.subplots()
        axes.plot(self.rates, self.losses, color="0.75", linewidth=0.8, label="each step")
        axes.plot(self.rates, self.smoothed, color="tab:blue", label="smoothed")
        if self.suggestion is not None:
            axes.axvline(self.suggestion, color="tab:green", linestyle="--", linewidth=1)
            axes.annotate(
                f" {self.suggestion:.2g}",
                (self.suggestion, 0.95),
                xycoords=("data", "axes fraction"),
                color="tab:green",
            )
        top = max(self.smoothed[0], self.smoothed.min()) * 1.5
        axes.set_xscale("log")
        axes.set_ylim(top=top if top > self.losses.min() else None)
        plots.plain(axes, title="learning-rate range test", x="learning rate", y="loss")
        axes.legend(frameon=False)
        plots.write(made, path)

    def __repr__(self) -> str:
        said = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"RateRange({self.rates[0]:.1g} to {self.rates[-1]:.1g}, suggestion: {said})"


def learning_rate_range(
    trainer: Trainer,
    x: Any,
    y: Any = None,
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int | None = None,
    optimizer: str | None = None,
) -> RateRange:
    """Trains a scratch copy with a learning rate that grows at each step (Smith 2017).

    It ends early when the loss is four times the best, or no number. The trainer is untouched.

    Args:
        trainer: whose task is trained.
        x: inputs, or a stream, as for `fit`.
        y: targets, for arrays.
        lowest: the first learning rate.
        highest: the last.
        steps: how many rates, at equal ratios.
        batch_size: as for `fit`.
        optimizer: path of the optimizer whose rate grows; None: that of each.

    Raises:
        ValueError: the rates do not grow, or the optimizer has a schedule in place of a number.
    """
    if not 0 < lowest < highest or steps < 3:
        raise ValueError(
            f"lowest={lowest}, highest={highest}, steps={steps}: rates grow from above 0, in 3 "
            "steps or more."
        )
    rates = np.geomspace(lowest, highest, steps)
    sweep = _Sweep(rates, optimizer)
    with trainer.scratch(jit=False) as trial:
        trial.fit(
            x, y, batch_size=batch_size, steps=trial.step + steps, callbacks=[sweep], verbose=0
        )
    losses = np.array(sweep.losses)
    return RateRange(rates[: len(losses)], losses)


class _Sweep(Callback):
    """Gives each step its rate, and ends when the loss has blown up."""

    when = Every(steps=1)

    def __init__(self, rates: np.ndarray, name: str | None) -> None:
        self._rates, self._name = rates, name
        self.losses: list[float] = []

    def on_train_begin(self, run: Run) -> None:
        self._paths = chosen(run, self._name, "learning_rate_range")
        write(run, self._paths, float(self._rates[0]))

    def __call__(self, report: Report) -> Control | None:
        name = "loss" if "loss" in report.steps else next(k for k in report.steps if k != "step")
        loss = float(report.steps[name][-1])
        if not math.isfinite(loss):
            return Control(stop="the loss is no number")
        self.losses.append(loss)
        # The first losses are those of the untrained model, whatever the sign.
        if len(self.losses) > 3 and loss - min(self.losses) > (_BLOWN - 1) * abs(self.losses[0]):
            return Control(stop="the loss has blown up")
        if len(self.losses) < len(self._rates):
            write(report.run, self._paths, float(self._rates[len(self.losses)]))
        return None
