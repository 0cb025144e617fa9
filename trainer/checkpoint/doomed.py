"""The process that `certify` runs a job in: it may be told to kill itself before some step.

python -m trainer.checkpoint.doomed file.py:function FOLDER '{"every": 10, "step": 57}'
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from trainer.callbacks.triggers import NEVER, Every, Moment
from trainer.checkpoint.settings import Checkpoint


class Doom:
    """A trigger that is due every so many steps, and kills the process before a given one."""

    def __init__(self, every: int | None = None, step: int | None = None) -> None:
        self._every = Every(steps=every) if every else Every(seconds=60)
        self._step = step
        self.begun: float | None = None

    def next(self, moment: Moment) -> int:
        """The first due step after `moment.step`; training has begun when it is first asked."""
        if self.begun is None:
            self.begun = time.perf_counter()
            print("begun", flush=True)
        if self._step is not None and moment.step >= self._step - 1:
            print(f"struck before step {moment.step + 1}", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        last = NEVER if self._step is None else self._step - 1
        return min(self._every.next(moment), max(last, moment.step + 1))

    def due(self, moment: Moment) -> bool:
        """Whether a checkpoint is due."""
        return self._every.due(moment)


def find(job: str) -> Callable[[Any], Any]:
    """The function that "file.py:function" or "package.module:function" names.

    Raises:
        ValueError: there is none.
    """
    place, _, name = job.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(pathlib.Path(place).stem, place)
            if spec is None or spec.loader is None:
                raise ImportError(f"{place} cannot be read")
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        return getattr(module, name)
    except (ImportError, AttributeError, FileNotFoundError) as error:
        raise ValueError(
            f"job={job!r}: {error}; give 'file.py:function' or 'package.module:function'."
        ) from error


def main(argv: list[str]) -> None:
    """Runs the job; its last line tells how long it trained."""
    job, folder, doom = argv
    given = json.loads(doom)
    function = find(job)
    trigger = Doom(given.get("every"), given.get("step"))
    function(Checkpoint(folder, when=trigger, keep_last=2))
    seconds = 0.0 if trigger.begun is None else time.perf_counter() - trigger.begun
    print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
