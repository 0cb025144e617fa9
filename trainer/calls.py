"""Where training stands, and the calls of fit that brought it there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trainer.callbacks.history import History


@dataclasses.dataclass
class Position:
    """Where training stands, over all calls of fit."""

    step: int = 0
    epoch: int = 0  # epochs completed
    epoch_step: int = 0  # steps made in the open epoch
    taken: int = 0  # steps read of the data at hand, where it is pulled once


@dataclasses.dataclass(frozen=True)
class Goal:
    """When a call of fit is over: at a step, or after so many epochs; the one that is not None."""

    step: int | None
    epoch: int | None
    steps_per_epoch: int | None  # given or known; None: the data's end says

    def reached(self, position: Position) -> bool:
        """Whether training has come this far."""
        if self.step is not None:
            return position.step >= self.step
        return self.epoch is not None and position.epoch >= self.epoch

    def total_steps(self, position: Position) -> int | None:
        """The step at which fit will end, as far as it can be told."""
        if self.step is not None:
            return self.step
        if self.steps_per_epoch is None or self.epoch is None:
            return None
        epochs = self.epoch - position.epoch
        return position.step + epochs * self.steps_per_epoch - position.epoch_step


@dataclasses.dataclass
class Call:
    """One call of fit.

    Attributes:
        start: where training stood when it began.
        asked: what was asked for: `{"steps": n}`, the step to train to, or `{"epochs": n}`, how
            many from `start` on.
        data: fingerprint of its data.
        history: what it recorded.
        done: whether it came to its end (its goal, or a callback's wish); else it is still open.
    """

    start: Position
    asked: dict[str, int]
    data: Any
    history: History
    done: bool = False

    def goal(self, steps_per_epoch: int | None) -> Goal:
        """When it is over."""
        epochs = self.asked.get("epochs")
        return Goal(
            step=self.asked.get("steps"),
            epoch=None if epochs is None else self.start.epoch + epochs,
            steps_per_epoch=steps_per_epoch,
        )

    def memory(self) -> dict[str, Any]:
        """Plain values and arrays, for a checkpoint."""
        return {
            "start": dataclasses.asdict(self.start),
            "asked": dict(self.asked),
            "data": self.data,
            "history": self.history.memory(),
            "done": self.done,
        }

    @classmethod
    def of(cls, memory: Mapping[str, Any]) -> Call:
        """The call that gave this memory."""
        history = History()
        history.load_memory(memory["history"])
        start = Position(**memory["start"])
        return cls(start, dict(memory["asked"]), memory["data"], history, memory["done"])
