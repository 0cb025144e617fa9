"""The workers of one start: begun together, watched together, ended together."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO

from trainer.exits import DISAGREED, LOST_PEER, PREEMPTED
from trainer.launch.ports import free_ports, tf_config
from trainer.launch.worker import Worker

_GUARD = pathlib.Path(__file__).with_name("guard.py")
_TICK = 0.05  # seconds between two looks at who still runs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """How long is waited for what, in seconds.

    Attributes:
        heartbeat: a worker without a sign of life for so long counts as frozen. (It gives none
            while something holds the interpreter: loading TensorFlow from a slow disk, or the
            first connection to workers that have not started yet.)
        end: after one worker has failed, how long the others may take to say so and end.
        grace: after a signal, how long the workers may take for their last checkpoint.
        pause: the longest pause before a restart.
    """

    heartbeat: float = 60.0
    end: float = 15.0
    grace: float = 40.0
    pause: float = 60.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a start ended.

    Attributes:
        code: as the launcher's exit code; 0 if all workers are done.
        text: what happened, for people; empty if all are done.
        final: whether another start would be no use, or was not wished.
    """

    code: int
    text: str
    final: bool


class Crew:
    """Workers that run while this is open; when it closes, none of them is left.

    Args:
        command: as `Worker` takes it.
        workers: how many.
        limits: how long is waited.
        environment: of every worker, beside its TF_CONFIG; maybe one for each.
        say: told in a line what happens.
        out: where the workers' output goes; their errors go to `err`.
    """

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        limits: Limits,
        *,
        environment: Callable[[int], Mapping[str, str]],
        say: Callable[[str], None],
        out: IO[bytes],
        err: IO[bytes],
    ) -> None:
        self._command, self._count, self._limits = command, workers, limits
        self._environment, self._say = environment, say
        self._out, self._err = out, err
        self._workers: list[Worker] = []
        self._ended: list[Worker] = []  # in the order in which they were seen to end
        self._killed: set[int] = set()  # by us, as the others have failed
        self._beat = min(1.0, limits.heartbeat / 5)  # seconds between two signs of life
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Crew:
        self._guard = subprocess.Popen(
            [sys.executable, "-S", str(_GUARD)], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            ports = free_ports(self._count)
            for index in range(self._count):
                environment = {
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",  # what it said before it was killed is not lost
                    **self._environment(index),
                    "TF_CONFIG": tf_config(ports, index),
                }
                worker = Worker(
                    index,
                    self._command,
                    environment,
                    self._beat,
                    self._selector,
                    self._out,
                    self._err,
                )
                self._workers.append(worker)
                self._tell_guard(f"+{worker.pid}")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.kill()
            worker.close()
            self._tell_guard(f"-{worker.pid}")
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()
        self._selector.close()

    def run(self, signals: list[signal.Signals]) -> Outcome:
        """Watches until all have ended.

        Args:
            signals: those that came for the launcher, growing; they are passed on.
        """
        passed = 0
        deadline: float | None = None
        looked = time.monotonic()
        while any(worker.code is None for worker in self._workers):
            self._read()
            looked = self._look(looked)
            now = time.monotonic()
            for number in signals[passed:]:
                passed += 1
                for worker in self._running():
                    worker.signal(number)
                if deadline is None:
                    self._say(
                        f"{number.name} is passed on to the workers, which have "
                        f"{self._limits.grace:g} s for a last checkpoint"
                    )
                    deadline = now + self._limits.grace
            if deadline is None and (failed := self._failed()):
                asked = failed[0].code == PREEMPTED
                deadline = now + (self._limits.grace if asked else self._limits.end)
            if deadline is not None and now >= deadline:
                self._end_the_rest()
        self._read()
        return self._outcome(signals)

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.code is None]

    def _failed(self) -> list[Worker]:
        """Those that failed by themselves, in order; losing a peer is what comes of another's."""
        failed = [w for w in self._ended if w.code and w.index not in self._killed]
        return sorted(failed, key=lambda w: w.code == LOST_PEER)

    def _read(self) -> None:
        if not self._selector.get_map():
            time.sleep(_TICK)
            return
        for key, _ in self._selector.select(_TICK):
            _, read = key.data
            read()

    def _look(self, looked: float) -> float:
        """Sees who has ended or is frozen; returns the time."""
        now = time.monotonic()
        limit = self._limits.heartbeat
        if now - looked > limit / 3:  # it is the launcher that stood still
            for worker in self._running():
                worker.seen = now
        for worker in self._running():
            # One that is stopped is what those waited for that lost a peer.
            if worker.poll() is None and (
                now - worker.seen > limit or (self._failed() and worker.stopped)
            ):
                worker.frozen = True
                worker.kill()
            if worker.code is not None:
                self._ended.append(worker)
                if worker.code:
                    self._say(str(worker))
        return now

    def _end_the_rest(self) -> None:
        for worker in self._running():
            worker.frozen = time.monotonic() - worker.seen > 5 * self._beat
            worker.kill()
            self._ended.append(worker)
            if worker.frozen:
                self._say(str(worker))
            else:
                self._say(f"worker {worker.index} (process {worker.pid}) did not end: killed")
                self._killed.add(worker.index)

    def _outcome(self, signals: Sequence[signal.Signals]) -> Outcome:
        failed = self._failed()
        if not failed and not self._killed:
            return Outcome(0, "", final=True)
        if signals:
            return Outcome(128 + signals[0], f"stopped by {signals[0].name}", final=True)
        refused = [worker for worker in failed if worker.code == DISAGREED]
        cause = (refused or failed)[0]
        return Outcome(cause.exit_code, str(cause), final=bool(refused))

    def _tell_guard(self, line: str) -> None:
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; we still end them
            self._guard.stdin.write(f"{line}\n".encode())
            self._guard.stdin.flush()
