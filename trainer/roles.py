"""What a run is handed: validation, who takes checkpoints, what else the trainer can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trainer.callbacks.triggers import Moment, Trigger

if TYPE_CHECKING:
    from trainer.run import FitRun


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

    def start(self, run: FitRun) -> None:
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

    def check(self) -> None:
        """Raises what went wrong in writing earlier ones."""
