"""TensorBoard: every step's values as event files, written by a background thread."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.events import EventFile
from trainer.callbacks.triggers import Every, Trigger, Validated

BLOCK = 1024  # steps encoded in one go, in less than a millisecond
PAUSE = 2e-4  # seconds between blocks, in which the loop's thread can take the interpreter


class TensorBoard(Callback):
    """Writes each step's values, the means of each epoch, and validations.

    Two runs stand under `log_dir`, `train` and `validation`, and a quantity has one tag in both, so
    that TensorBoard draws the two in one chart. The x-axis is always the step, counted over all
    calls of fit.

    | tag | `train` | `validation` |
    |---|---|---|
    | `loss`, `accuracy`, ... | the value of each step | the value of each validation |
    | `epoch/loss`, `epoch/accuracy`, ... | the mean over each epoch | its validation |
    | `learning_rate` and other step values | the value of each step | |
    | `speed/steps_per_second` | at each write | |

    The values come out of the compiled loop together, every two seconds; a thread writes them, from
    a queue that holds a few of these writes, so a slow disk delays training only when it has
    fallen far behind. What was written is readable at once.

    Args:
        log_dir: folder of this run; any path that `tf.io.gfile` knows.
        update_freq: "batch" writes every step, a number k each k-th step, "epoch" none, only
            epochs and validations.

    Raises:
        OSError: from the thread (disk full, folder deleted), at the next call within fit.
    """

    writes_to = ("log_dir",)
    chief_only = True

    def __init__(
        self, log_dir: str | os.PathLike[str] = "logs", *, update_freq: int | str = "batch"
    ) -> None:
        number = isinstance(update_freq, int) and not isinstance(update_freq, bool)
        if not (update_freq in ("batch", "epoch") if not number else int(update_freq) >= 1):
            raise ValueError(
                f"TensorBoard(update_freq={update_freq!r}): it must be 'batch', 'epoch' or a "
                "whole number of steps from 1 on."
            )
        self.log_dir = os.fspath(log_dir)
        self.every = {"batch": 1, "epoch": 0}.get(str(update_freq)) if not number else update_freq
        self.when: Trigger = Every(seconds=2) | Every(epochs=1) | Validated()
        self._writer: _Writer | None = None
        self._time = 0.0
        self._seen = 0

    def on_train_begin(self, run: Run) -> None:
        """Starts the thread."""
        self._time, self._seen = time.time(), run.step
        self._writer = _Writer(self.log_dir, run.step + 1)

    def __call__(self, report: Report) -> Control | None:
        """Hands over what has happened since the last call."""
        assert self._writer is not None
        self._writer.put(self._jobs(report))
        return None

    def on_train_end(self, report: Report) -> None:
        """Writes what is left and waits for the thread."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        try:
            writer.put(self._jobs(report, ended=True))
        finally:
            writer.close()

    def memory(self) -> Mapping[str, Any]:
        """What was handed over and is not in the files yet: a killed run would have lost it."""
        unwritten = [] if self._writer is None else self._writer.unwritten()
        return {
            "seen": self._seen,
            "unwritten": [[job._asdict() for job in jobs] for jobs in unwritten],
        }

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Writes first what the run that is resumed had not written."""
        assert self._writer is not None
        lost = [[_Job(**job) for job in jobs] for jobs in memory["unwritten"]]
        self._seen = memory["seen"]
        firsts = [int(job.steps[0]) for jobs in lost for job in jobs if len(job.steps)]
        self._writer.start_step = min([*firsts, self._seen + 1])
        for jobs in lost:
            self._writer.put(jobs)

    def _jobs(self, report: Report, ended: bool = False) -> list[_Job]:
        """What a report has to write."""
        now, before = time.time(), self._time
        self._time, self._seen = now, report.step
        jobs = []
        numbers = report.steps["step"]
        if self.every and len(numbers):
            times = np.linspace(before, now, len(numbers) + 1)[1:]
            keep = slice(None) if self.every == 1 else numbers % self.every == 0
            tags = [name for name in report.steps if name != "step"]
            columns = [report.steps[name] for name in tags]
            jobs.append(_Job("train", tags, numbers[keep], times[keep], [c[keep] for c in columns]))
        once: list[tuple[str, Mapping[str, float]]] = []
        if not ended:
            values = {k.removeprefix("val_"): v for k, v in report.validation.items()}
            once.append(("validation", values))
        if not ended and report.epoch_end:
            once.append(("validation", {f"epoch/{k}": v for k, v in values.items()}))
            means = {k: v for k, v in report.logs.items() if k not in report.validation}
            means.pop("learning_rate", None)
            once.append(("train", {f"epoch/{k}": v for k, v in means.items()}))
        if report.steps_per_second and len(numbers):
            once.append(("train", {"speed/steps_per_second": report.steps_per_second}))
        at = np.array([report.step])
        for run, pairs in once:
            if pairs:
                columns = [np.array([v]) for v in pairs.values()]
                jobs.append(_Job(run, list(pairs), at, np.array([now]), columns))
        return jobs


class _Job(NamedTuple):
    """Values of some steps: `columns[i]` `[n]` belongs to `tags[i]`."""

    run: str
    tags: list[str]
    steps: np.ndarray
    times: np.ndarray
    columns: list[np.ndarray]


class _Writer:
    """The thread, and the bounded queue that feeds it.

    Attributes:
        start_step: the first step that will be written; TensorBoard forgets what an interrupted
            run had written from there on. It counts until the first job.
    """

    def __init__(self, log_dir: str, start_step: int) -> None:
        self.start_step = start_step
        self._log_dir = log_dir
        self._files: dict[str, EventFile] = {}
        self._queue: queue.Queue[list[_Job] | None] = queue.Queue(maxsize=8)
        self._unwritten: list[list[_Job]] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="tensorboard", daemon=True)
        self._thread.start()

    def unwritten(self) -> list[list[_Job]]:
        """What was put and is not flushed to the files yet."""
        return list(self._unwritten)

    def put(self, jobs: list[_Job] | None) -> None:
        """Queues work; waits while the queue is full.

        Raises:
            OSError: (or whatever it was) what ended the thread.
        """
        while True:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if not self._thread.is_alive():
                return  # its error has been raised already
            try:
                if jobs is not None:
                    self._unwritten.append(jobs)  # first, as the thread takes it off when written
                return self._queue.put(jobs, timeout=0.1)
            except queue.Full:
                if jobs is not None:
                    self._unwritten.pop()

    def close(self) -> None:
        """Waits until all is written; raises as `put` does."""
        self.put(None)
        self._thread.join()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        try:
            while (jobs := self._queue.get()) is not None:
                for job in jobs:
                    self._write(job)
                for file in self._files.values():
                    file.flush()
                del self._unwritten[0]
        except BaseException as error:  # raised again in the thread of fit
            self._error = error
        finally:
            for file in self._files.values():
                try:
                    file.close()
                except Exception as error:
                    self._error = self._error or error

    def _write(self, job: _Job) -> None:
        if job.run not in self._files:
            folder = os.path.join(self._log_dir, job.run)
            self._files[job.run] = EventFile(folder, self.start_step)
        file = self._files[job.run]
        for start in range(0, len(job.steps), BLOCK):
            part = slice(start, start + BLOCK)
            values = np.stack([c[part] for c in job.columns], 1).astype(np.float32)
            file.add(job.tags, job.steps[part], job.times[part], values)
            time.sleep(PAUSE)
