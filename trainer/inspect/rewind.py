"""RewindOnSpike: takes a run whose loss spikes back to a good state, and past the spike."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every
from trainer.checkpoint.reading import Checkpoints
from trainer.inspect.replay import Planned
from trainer.roles import GoodState

_FEW = 20  # losses below which nothing is a spike


class Rewind(NamedTuple):
    """One rewind.

    Attributes:
        spike: number of the step whose loss began it.
        value: that loss.
        usual: the median before it.
        back_to: updates that the state gone back to had seen.
        goes_on: number of the step that comes next; the batches between are never trained on.
    """

    spike: int
    value: float
    usual: float
    back_to: int
    goes_on: int


class RewindOnSpike(Callback):
    """On a loss spike goes back to a good state, and on with the batches after the spike.

    As was done for PaLM (Chowdhery et al. 2022, section 5.1): the weights, all the optimizer keeps
    and the loss scale become those from before the spike; the batches from there to the place where
    it was noticed are skipped. Steps keep their numbers, so that curves and triggers go on: the
    state of step 300 goes on with step 501, say. All of it is a function of the losses, looked at
    every `every` steps: the same run rewinds at the same steps. The mean of the epoch leaves the
    undone steps out; of one that ended within them it does not.

    A spike is a loss that is not finite, or `patience` losses on end above the median of those
    before them by more than `deviations` robust deviations (1.4826 times the median absolute one);
    within a look, the median is taken anew every 20 steps.

    Args:
        monitor: name of the value of each step.
        deviations: how far above the median.
        patience: how many steps on end.
        window: how many losses before count.
        every: steps between looks, and between good states; no compiled call is longer.
        margin: steps that a good state is older than the spike, at least.
        most: rewinds after which the run ends instead.
        checkpoints: None keeps two good states in memory (room for as many copies of all
            variables; a resumed run begins with none); a folder takes them from the checkpoints
            that `Trainer(checkpoint=...)` writes there. The mean of the open epoch then begins
            anew.

    Attributes:
        rewinds: those made, in order.
    """

    def __init__(
        self,
        monitor: str = "loss",
        *,
        deviations: float = 10.0,
        patience: int = 3,
        window: int = 200,
        every: int = 100,
        margin: int = 10,
        most: int = 5,
        checkpoints: Any = None,
    ) -> None:
        whole = {"patience": patience, "every": every, "window": window, "margin": margin}
        for name, value in {**whole, "most": most}.items():
            least = 0 if name in ("margin", "most") else 1
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
                raise ValueError(
                    f"RewindOnSpike({name}={value!r}): it must be a whole number from {least} on."
                )
        if not deviations > 0:
            raise ValueError(f"RewindOnSpike(deviations={deviations!r}): it must be above 0.")
        if monitor.startswith("val_"):
            raise ValueError(
                f"RewindOnSpike(monitor={monitor!r}): it looks at the values of each step, such as "
                "'loss'; a validation has none."
            )
        if window < _FEW:
            raise ValueError(f"RewindOnSpike(window={window}): it must be at least {_FEW}.")
        self.monitor, self.deviations, self.patience = monitor, deviations, patience
        self.every, self.margin, self.most = every, margin, most
        self.when = Every(steps=every)
        self.checkpoints = None if checkpoints is None else Checkpoints(checkpoints)
        self.rewinds: list[Rewind] = []
        self._losses: deque[float] = deque(maxlen=window)
        self._above = 0  # steps on end above the bound, as of the last look
        self._kept: deque[tuple[int, GoodState]] = deque(maxlen=2)

    @property
    def monitors(self) -> Sequence[str]:
        """The monitored name."""
        return (self.monitor,)

    def on_train_begin(self, run: Run) -> None:
        """Forgets earlier fits.

        Raises:
            ValueError: the monitored value is one of a whole epoch, which no step has.
        """
        if self.monitor not in run.step_names:
            raise ValueError(
                f"RewindOnSpike(monitor={self.monitor!r}): it looks at the values of each step, "
                f"and this is one of a whole epoch; steps have {', '.join(run.step_names)}."
            )
        self.rewinds = []
        self._losses.clear()
        self._kept.clear()
        self._above = 0

    def before_call(self, planned: Planned) -> None:
        """Keeps a good state, where one is due."""
        if self.checkpoints is None and (planned.step % self.every == 0 or not self._kept):
            self._kept.append((planned.step, planned.run.good_state()))

    def __call__(self, report: Report) -> Control | None:
        """Looks at the steps since the last look."""
        losses, numbers = report.steps[self.monitor], report.steps["step"]
        for first in range(0, len(losses), _FEW):  # a median a step would cost more than the step
            usual, bound = self._bound()
            some = losses[first : first + _FEW]
            fine = np.isfinite(some) & (some <= bound)
            if fine.all():
                self._above = 0
                self._losses.extend(some.tolist())
                continue
            for at, loss in enumerate(some.tolist(), first):
                self._above = 0 if fine[at - first] else self._above + 1
                if not np.isfinite(loss) or self._above >= self.patience:
                    begun = int(numbers[at]) - min(self._above, self.patience) + 1
                    return self._rewind(report, begun, loss, usual)
                if not self._above:  # what may turn out a spike is no part of what is usual
                    self._losses.append(loss)
        return None

    def on_train_end(self, report: Report) -> None:
        """Lets go of the states."""
        self._kept.clear()

    def memory(self) -> Mapping[str, Any]:
        """The losses that count, and the rewinds made."""
        return {
            "losses": list(self._losses),
            "above": self._above,
            "rewinds": [list(r) for r in self.rewinds],
        }

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Puts them back."""
        self._losses.extend(memory["losses"])
        self._above = memory["above"]
        self.rewinds = [Rewind(*r) for r in memory["rewinds"]]

    def _bound(self) -> tuple[float, float]:
        """The median, and above what a loss is no usual one."""
        if len(self._losses) < _FEW:
            return float("nan"), float("inf")
        losses = np.array(self._losses)
        usual = _median(losses)
        deviation = 1.4826 * _median(np.abs(losses - usual))
        return usual, usual + self.deviations * max(deviation, 1e-3 * abs(usual))

    def _rewind(self, report: Report, spike: int, loss: float, usual: float) -> Control | None:
        said = f"{self.monitor} is {loss:.4g} at step {spike}, usual was {usual:.4g}"
        if len(self.rewinds) == self.most:
            return Control(stop=f"{said}, and {self.most} rewinds were made already")
        found = self._good(report.run, spike - 1 - self.margin)
        if found is None:
            return Control(stop=f"{said}, and there is no state from before it to go back to")
        step, good = found
        report.run.rewind(good)
        self._above = 0
        self._kept = deque([(step, good)], maxlen=2)
        self.rewinds.append(Rewind(spike, loss, usual, step, report.step + 1))
        logging.warning(
            "%s: back to the state of step %d, and on with step %d (rewind %d of at most %d)",
            said,
            step,
            report.step + 1,
            len(self.rewinds),
            self.most,
        )
        return None

    def _good(self, run: Run, latest: int) -> tuple[int, GoodState] | None:
        """The newest state of step `latest` or before; the oldest kept, where all are later."""
        if self.checkpoints is None:
            fitting = [kept for kept in self._kept if kept[0] <= max(latest, self._kept[0][0])]
            return fitting[-1] if fitting else None
        run.wait_for_checkpoints()  # so that which is the newest is no matter of time
        for entry in reversed(self.checkpoints.entries()):
            if entry.step <= latest:
                _, values = self.checkpoints.load(entry.name, list(run.variables))
                return entry.step, GoodState(values, {}, -1)
        return None


def _median(values: np.ndarray) -> float:
    """Of finite numbers; NumPy's own takes five times as long, mostly to look for others."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    parted = np.partition(values, (low, high))
    return float(0.5 * (parted[low] + parted[high]))
