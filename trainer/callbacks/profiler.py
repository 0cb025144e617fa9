"""Profiler: a trace of some steps, for TensorBoard's profile plugin."""

from __future__ import annotations

import os

import tensorflow as tf

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import At


class Profiler(Callback):
    """Traces a window of steps with TensorFlow's profiler.

    The trace is written below `log_dir/plugins/profile`. TensorBoard shows it with the profile
    plugin, an extra: `pip install xprof`. Tracing slows the steps of the window down.

    Args:
        log_dir: folder of the run.
        first: the first step to trace, counted over all calls of fit from 1. Leave some before it,
            so that compilation is over.
        steps: how many steps to trace; each must fit in memory with its trace, so tens rather than
            thousands.

    Attributes:
        traced: (first, last) step of the trace that was written; None before.
    """

    writes_to = ("log_dir",)

    def __init__(
        self, log_dir: str | os.PathLike[str] = "logs", first: int = 100, steps: int = 20
    ) -> None:
        for name, value in {"first": first, "steps": steps}.items():
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
                raise ValueError(
                    f"Profiler({name}={value!r}): it must be a whole number from 1 on."
                )
        self.log_dir, self.first, self.steps = os.fspath(log_dir), int(first), int(steps)
        last = self.first + self.steps - 1
        self.when = At(last) if self.first == 1 else At(self.first - 1, last)
        self.traced: tuple[int, int] | None = None
        self._from: int | None = None

    def on_train_begin(self, run: Run) -> None:
        """Begins at once where the first step is to be traced."""
        self._from = None
        if run.step < self.first + self.steps - 1 and run.step >= self.first - 1:
            self._start(run.step + 1)

    def __call__(self, report: Report) -> Control | None:
        """Begins, or ends and writes."""
        if self._from is not None:
            self._stop(report.step)
        elif report.step == self.first - 1:
            self._start(report.step + 1)
        return None

    def on_train_end(self, report: Report) -> None:
        """Ends and writes a trace whose window the run did not get through."""
        if self._from is not None:
            self._stop(report.step)

    def _start(self, step: int) -> None:
        tf.profiler.experimental.start(self.log_dir)
        self._from = step

    def _stop(self, step: int) -> None:
        first, self._from = self._from, None
        tf.profiler.experimental.stop()
        assert first is not None
        self.traced = (first, step)
