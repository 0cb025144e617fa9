"""LambdaCallback: functions in place of a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every, Trigger


class LambdaCallback(Callback):
    """Calls `fn(report)` when due.

    Args:
        fn: gets the `Report`; may return a `Control`, or None.
        when: the trigger; the end of every epoch when not given.
        on_train_begin: called with the `Run` before the first step.
        on_train_end: called with the last `Report`, also when fit ends by an error.

    Example:
        >>> LambdaCallback(lambda report: print(report.logs["loss"]), when=Every(steps=100))
        LambdaCallback(when=Every(steps=100))
    """

    def __init__(
        self,
        fn: Callable[[Report], Control | None] | None = None,
        *,
        when: Trigger | None = None,
        on_train_begin: Callable[[Run], Any] | None = None,
        on_train_end: Callable[[Report], Any] | None = None,
    ) -> None:
        given = {"fn": fn, "on_train_begin": on_train_begin, "on_train_end": on_train_end}
        for name, function in given.items():
            if function is not None and not callable(function):
                raise TypeError(f"LambdaCallback({name}={function!r}): it must be a function.")
        if all(function is None for function in given.values()):
            raise ValueError(f"LambdaCallback needs at least one of {', '.join(given)}.")
        self.when = when or Every(epochs=1)
        self._fn, self._begin, self._end = fn, on_train_begin, on_train_end

    def on_train_begin(self, run: Run) -> None:
        """Calls the function given for it."""
        if self._begin:
            self._begin(run)

    def __call__(self, report: Report) -> Control | None:
        """Calls `fn`."""
        return self._fn(report) if self._fn else None

    def on_train_end(self, report: Report) -> None:
        """Calls the function given for it."""
        if self._end:
            self._end(report)
