"""Writer: the thread that writes event files, and the bounded queue that feeds it."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from trainer.callbacks.tensorboard.events import EventFile

BLOCK = 1024  # steps encoded in one go, in less than a millisecond
PAUSE = 2e-4  # seconds between blocks, in which the loop's thread can take the interpreter


class Scalars(NamedTuple):
    """Values of some steps: `columns[i]` `[n]` belongs to `tags[i]`."""

    run: str
    tags: list[str]
    steps: np.ndarray
    times: np.ndarray
    columns: list[np.ndarray]

    @property
    def first_step(self) -> int | None:
        """The first step that it writes."""
        return int(self.steps[0]) if len(self.steps) else None


class Events(NamedTuple):
    """Events of any kind, serialized, at one step."""

    run: str
    step: int
    events: list[bytes]

    @property
    def first_step(self) -> int | None:
        """The step of its events."""
        return self.step


Job = Scalars | Events


def to_plain(job: Job) -> dict[str, Any]:
    """What a checkpoint can hold of a job."""
    if isinstance(job, Scalars):
        return job._asdict()
    return {**job._asdict(), "events": [np.frombuffer(e, np.uint8) for e in job.events]}


def from_plain(plain: Mapping[str, Any]) -> Job:
    """The job of `to_plain`."""
    if "events" in plain:
        events = [np.asarray(e, np.uint8).tobytes() for e in plain["events"]]
        return Events(plain["run"], plain["step"], events)
    return Scalars(**plain)


class Writer:
    """The thread, and the bounded queue that feeds it.

    Attributes:
        start_step: the first step that will be written; TensorBoard forgets what an interrupted
            run had written from there on. It counts until the first job.
    """

    def __init__(self, log_dir: str, start_step: int) -> None:
        self.start_step = start_step
        self._log_dir = log_dir
        self._files: dict[str, EventFile] = {}
        self._queue: queue.Queue[list[Job] | None] = queue.Queue(maxsize=8)
        self._unwritten: list[list[Job]] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="tensorboard", daemon=True)
        self._thread.start()

    def unwritten(self) -> list[list[Job]]:
        """What was put and is not flushed to the files yet."""
        return list(self._unwritten)

    def put(self, jobs: list[Job] | None) -> None:
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

    def _write(self, job: Job) -> None:
        if job.run not in self._files:
            folder = os.path.join(self._log_dir, job.run)
            self._files[job.run] = EventFile(folder, self.start_step)
        file = self._files[job.run]
        if isinstance(job, Events):
            file.add_events(job.events)
            return
        for start in range(0, len(job.steps), BLOCK):
            part = slice(start, start + BLOCK)
            values = np.stack([c[part] for c in job.columns], 1).astype(np.float32)
            file.add(job.tags, job.steps[part], job.times[part], values)
            time.sleep(PAUSE)
