"""Keeper: stands by a loop's first steps, and finds another way where they cannot be made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from trainer.compiling import constants
from trainer.compiling.refused import why
from trainer.loop import Loop

if TYPE_CHECKING:
    from trainer.programs import Programs


@dataclasses.dataclass
class Keeper:
    """What a loop tells, and asks for where it cannot run; see `loop.Owner`."""

    programs: Programs
    verb: str
    fetch: Callable[..., Any]
    rows: int
    mode: str
    parts: int
    instruments: tuple[Any, ...] = ()
    put_back: Callable[[], None] | None = None

    @property
    def name(self) -> str:
        """What the program is counted under: one that reads its steps is another by intention."""
        if not self.instruments:
            return self.verb
        return f"{self.verb}, read by {', '.join(map(repr, self.instruments))}"

    def traced(self, graph: tf.Graph, args: Any, seconds: float) -> None:
        """Counts it, and looks for what XLA would compile again and again."""
        self.programs.guard.traced(self.name, self.mode, self.rows, args, seconds)
        if self.mode == "step" and (found := constants.said(graph)):
            self.programs.guard.by_value(self.verb, found)

    def begin(self) -> None:
        """Keeps the state, so that a step that fails halfway has not happened."""
        if self.verb == "train" and self.programs.alone and not self.programs.trying:
            self.put_back = self.programs.snapshot()

    def ran(self, args: Any, seconds: float) -> None:
        """Lets the copy go."""
        self.put_back = None
        self.programs.guard.ran(self.name, self.mode, self.rows, args, seconds)

    def instead(self, error: Exception) -> Loop | None:
        """Smaller parts where memory ran out; a plain graph where XLA refuses."""
        programs, mode = self.programs, self.mode
        if isinstance(error, tf.errors.ResourceExhaustedError):
            if self.put_back is None:
                return None
            if not programs.too_large(self.verb, self.rows):
                self.put_back()
                return None
        elif mode == "graph" or not programs.refused(self.verb, why(error)):
            return None
        else:
            mode = "graph"
        if self.put_back is not None:
            self.put_back()
            self.put_back = None
        return programs.compiled(self.verb, self.fetch, self.rows, mode, self.instruments)
