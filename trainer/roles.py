"""What a run is handed, and what it hands on: types without code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import tensorflow as tf

from trainer.callbacks.triggers import Moment, Trigger

if TYPE_CHECKING:
    from trainer.handle import Handle


class Validation(NamedTuple):
    """What to validate on, and when.

    Attributes:
        evaluate: `evaluate(stop)` gives name -> value; None if `stop()` became true meanwhile.
        when: the trigger.
    """

    evaluate: Callable[[Callable[[], bool]], dict[str, Any] | None]
    when: Trigger


class Verbs(NamedTuple):
    """What the trainer can do besides, for callbacks to ask for at a boundary."""

    predict: Callable[..., Any]
    export: Callable[[Any], None]


class Saver(Protocol):
    """Takes checkpoints of a run."""

    def start(self, run: Handle) -> None:
        """Told of the run before its first boundary; refuses what it cannot do."""

    def next(self, moment: Moment) -> int:
        """The first step after `moment.step` at which one may be due."""
        ...

    def due(self, moment: Moment) -> bool:
        """Whether one is due at this boundary."""
        ...

    def save(self, moment: Moment, memory: Mapping[str, Any], logs: Mapping[str, float]) -> None:
        """Takes one: of everything trained and of the run's memory."""
        ...

    def finish(self) -> object:
        """Waits until all are written."""

    def check(self) -> None:
        """Raises what went wrong in writing earlier ones."""


class GoodState(NamedTuple):
    """Where a run can go back to.

    Attributes:
        values: path -> value of each variable.
        sums: what the epoch that was open had summed.
        epoch: which one it was.
    """

    values: dict[str, tf.Tensor]
    sums: dict[str, Any]
    epoch: int


class Owed(NamedTuple):
    """What the steps made last still owe: the work of their boundary.

    Attributes:
        epoch_end: whether an epoch ended there.
        epoch_step: steps of that epoch.
    """

    epoch_end: bool
    epoch_step: int
