"""Triggers: when something is due, said beforehand, so that the loop runs freely until then."""

from __future__ import annotations

import dataclasses
from typing import Protocol

NEVER = 2**62  # later than any step


@dataclasses.dataclass(frozen=True)
class Moment:
    """Where a run stands at a boundary between two compiled calls.

    Attributes:
        step: updates made so far, over all calls of fit.
        epoch: epochs completed so far.
        epoch_step: updates made in the epoch that is open; 0 right after one has ended.
        steps_per_epoch: length of an epoch, or None while it is not known.
        epoch_end: whether an epoch has ended at this very step.
        seconds: seconds since fit began.
        step_seconds: recent duration of one step, or None before the first.
        fired: value of `seconds` when the trigger last fired, 0 before.
        validated: whether validation has run at this very step.
    """

    step: int
    epoch: int = 0
    epoch_step: int = 0
    steps_per_epoch: int | None = None
    epoch_end: bool = False
    seconds: float = 0.0
    step_seconds: float | None = None
    fired: float = 0.0
    validated: bool = False


class Trigger(Protocol):
    """When something is due."""

    def next(self, moment: Moment) -> int:
        """The first step after `moment.step` at which it may be due; `NEVER` if none is known."""
        ...

    def due(self, moment: Moment) -> bool:
        """Whether it is due at this boundary."""
        ...


def check(when: object, argument: str) -> None:
    """Refuses what is no trigger.

    Raises:
        TypeError: `when` has no `next` and `due`.
    """
    if not (hasattr(when, "next") and hasattr(when, "due")) or isinstance(when, type):
        raise TypeError(
            f"{argument}={when!r} is no trigger; write Every(steps=100), Every(epochs=1), "
            "Every(seconds=60), At(100), Validated(), or several of them joined by |."
        )


@dataclasses.dataclass(frozen=True, repr=False)
class Every:
    """Due every so many steps, epochs or seconds; give one of the three.

    Example:
        >>> Every(steps=100).next(Moment(step=230))
        300
    """

    steps: int | None = None
    epochs: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        given = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                f"Every takes exactly one of steps, epochs, seconds; got {given or 'none'}. "
                "Join two with `Every(...) | Every(...)`."
            )
        ((name, value),) = given.items()
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise ValueError(f"Every({name}={value!r}): {name} must be a number above 0.")
        if name != "seconds" and value != int(value):
            raise ValueError(f"Every({name}={value!r}): {name} must be a whole number.")

    def next(self, moment: Moment) -> int:
        """The first due step after `moment.step`."""
        if self.steps:
            return (moment.step // self.steps + 1) * self.steps
        if self.epochs:
            if moment.steps_per_epoch is None:
                return NEVER  # the loop stops at each epoch's end of itself
            whole = self.epochs - 1 - moment.epoch % self.epochs
            left = moment.steps_per_epoch - moment.epoch_step
            return moment.step + left + whole * moment.steps_per_epoch
        if not moment.step_seconds:
            return moment.step + 1
        assert self.seconds is not None
        left_seconds = self.seconds - (moment.seconds - moment.fired)
        return moment.step + max(1, int(left_seconds / moment.step_seconds))

    def due(self, moment: Moment) -> bool:
        """Whether it is due at this boundary."""
        if self.steps:
            return moment.step % self.steps == 0
        if self.epochs:
            return moment.epoch_end and moment.epoch % self.epochs == 0
        assert self.seconds is not None
        return moment.seconds - moment.fired >= 0.95 * self.seconds  # cuts are whole steps

    def __or__(self, other: Trigger) -> AnyOf:
        """Due when either is."""
        return AnyOf((self, other))

    def __repr__(self) -> str:
        name = "steps" if self.steps else "epochs" if self.epochs else "seconds"
        return f"Every({name}={getattr(self, name)})"


class Validated:
    """Due after every validation, whenever that is."""

    def next(self, moment: Moment) -> int:
        """`NEVER`: the loop stops for a validation of itself."""
        return NEVER

    def due(self, moment: Moment) -> bool:
        """Whether it is due at this boundary."""
        return moment.validated

    def __or__(self, other: Trigger) -> AnyOf:
        """Due when either is."""
        return AnyOf((self, other))

    def __repr__(self) -> str:
        return "Validated()"


class EachCall:
    """Due at every boundary that there is, and the cause of none: twice a second or more often."""

    def next(self, moment: Moment) -> int:
        """`NEVER`: it is called when others are, and between."""
        return NEVER

    def due(self, moment: Moment) -> bool:
        """Always."""
        return True

    def __or__(self, other: Trigger) -> AnyOf:
        """Due at every boundary, and at those that the other causes."""
        return AnyOf((self, other))

    def __repr__(self) -> str:
        return "EachCall()"


class At:
    """Due once, at each of the given steps."""

    def __init__(self, *steps: int) -> None:
        if not steps or any(isinstance(s, bool) or int(s) != s or s < 1 for s in steps):
            raise ValueError(f"At takes steps, whole numbers from 1 on; got {steps}.")
        self.steps = tuple(sorted(int(s) for s in steps))

    def next(self, moment: Moment) -> int:
        """The first due step after `moment.step`."""
        return next((s for s in self.steps if s > moment.step), NEVER)

    def due(self, moment: Moment) -> bool:
        """Whether it is due at this boundary."""
        return moment.step in self.steps

    def __or__(self, other: Trigger) -> AnyOf:
        """Due when either is."""
        return AnyOf((self, other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, At) and self.steps == other.steps

    def __hash__(self) -> int:
        return hash(self.steps)

    def __repr__(self) -> str:
        return f"At({', '.join(map(str, self.steps))})"


@dataclasses.dataclass(frozen=True, repr=False)
class AnyOf:
    """Due when any of several triggers is."""

    triggers: tuple[Trigger, ...]

    def next(self, moment: Moment) -> int:
        """The first due step after `moment.step`."""
        return min(t.next(moment) for t in self.triggers)

    def due(self, moment: Moment) -> bool:
        """Whether it is due at this boundary."""
        return any(t.due(moment) for t in self.triggers)

    def __or__(self, other: Trigger) -> AnyOf:
        """Due when any is."""
        return AnyOf((*self.triggers, other))

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.triggers))
