"""Profiler: a trace of some steps, for TensorBoard's profile plugin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import tensorflow as tf

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import At, EachCall

if TYPE_CHECKING:
    from trainer.inspect.replay import Planned


class Profiler(Callback):
    """Traces a window of steps with TensorFlow's profiler.

    The trace is written below `log_dir/plugins/profile`. TensorBoard shows it with the profile
    plugin, an extra: `pip install '.[profile]'`. Tracing slows the steps of the window down.

    What the plugin's pages call a step is a compiled call, "train" with the number of its last
    step: all steps of the window, unless another callback is due within it. `steps=1` shows a
    single one. The operations are those of each step, in whatever way they are compiled.

    Args:
        log_dir: folder of the run.
        first: the first step to trace, counted over all calls of fit from 1. Leave some before it,
            so that compilation is over.
        steps: how many steps to trace; each must fit in memory with its trace, so tens rather than
            thousands.

    Raises:
        ValueError: an argument is no whole number from 1 on; when the window begins, within a
            `CallbackError` unless it begins the run: another trace is being taken.

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
        self.when = (At(last) if self.first == 1 else At(self.first - 1, last)) | EachCall()
        self.traced: tuple[int, int] | None = None
        self._from: int | None = None
        self._mark: tf.profiler.experimental.Trace | None = None

    def on_train_begin(self, run: Run) -> None:
        """Begins at once where the first step is to be traced."""
        self._from = None
        if run.step < self.first + self.steps - 1 and run.step >= self.first - 1:
            self._start(run.step + 1)

    def before_call(self, planned: Planned) -> None:
        """Marks a call of the window as a step of the trace."""
        if self._from is not None:
            self._mark = tf.profiler.experimental.Trace(
                "train", step_num=planned.step + planned.n, _r=1
            )
            self._mark.__enter__()

    def __call__(self, report: Report) -> Control | None:
        """Begins, or ends and writes."""
        self._end_mark()
        if self._from is not None:
            if report.step >= self.first + self.steps - 1:
                self._stop(report.step)
        elif report.step == self.first - 1:
            self._start(report.step + 1)
        return None

    def rehearse(self, step: int) -> None:
        """Traces that step alone."""
        self.first, self.steps = step, 1

    def on_train_end(self, report: Report) -> None:
        """Ends and writes a trace whose window the run did not get through."""
        self._end_mark()
        if self._from is not None:
            self._stop(report.step)

    def _end_mark(self) -> None:
        if self._mark is not None:
            self._mark.__exit__(None, None, None)
            self._mark = None

    def _start(self, step: int) -> None:
        try:
            tf.profiler.experimental.start(self.log_dir)
        except tf.errors.AlreadyExistsError:
            raise ValueError(
                f"Profiler(first={self.first}, steps={self.steps}): TensorFlow takes one trace at "
                "a time, and one is being taken: by another Profiler whose window overlaps, or by "
                "tf.profiler. Move first=, or leave one out."
            ) from None
        self._from = step

    def _stop(self, step: int) -> None:
        first, self._from = self._from, None
        tf.profiler.experimental.stop()
        assert first is not None
        self.traced = (first, step)
