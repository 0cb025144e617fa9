"""Starts the workers, again if one is lost, until they are done or it is no use."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import IO

from trainer.launch.crew import Crew, Limits, Outcome

_PASSED_ON = (signal.SIGINT, signal.SIGTERM)


def supervise(
    command: Sequence[str],
    workers: int,
    *,
    max_restarts: int = 3,
    limits: Limits | None = None,
    environment: Callable[[int], Mapping[str, str]] = lambda index: {},
    say: Callable[[str], None] | None = None,
    out: IO[bytes] | None = None,
    err: IO[bytes] | None = None,
) -> int:
    """Runs workers to their end; returns the exit code.

    When one is lost, all are ended and all are started again, on other ports, after a pause that
    doubles each time (1 s, 2 s, ... at most `limits.pause`). Each continues by itself from the
    newest checkpoint, which is the same for all.

    Args:
        command: `["script", "train.py", ...]` or `["module", "package.train", ...]`, and arguments.
        workers: how many.
        max_restarts: how often they are started again.
        limits: how long is waited for what.
        environment: what a worker finds in its environment besides.
        say: told in a line what happens; by default it is written to standard error.
        out: where the workers' output goes, line by line; by default to standard output.
        err: where their errors go; by default to standard error.

    Returns:
        0 if all are done; 128 + the number of the signal that the launcher was stopped by; else
        what the worker that failed last ended with, see `trainer.exits`.
    """
    say = say or _say
    limits = limits or Limits()
    begun = time.monotonic()
    with passed_on() as signals:
        for restart in range(max_restarts + 1):
            with Crew(
                command,
                workers,
                limits,
                environment=environment,
                say=say,
                out=out or sys.stdout.buffer,
                err=err or sys.stderr.buffer,
            ) as crew:
                outcome = crew.run(signals)
            if outcome.final or restart == max_restarts:
                break
            pause = min(2.0**restart, limits.pause)
            which = f"restart {restart + 1} of {max_restarts}"
            say(f"{which} in {pause:g} s, from the newest checkpoint")
            if _interrupted(signals, pause):
                outcome = Outcome(128 + signals[0], f"stopped by {signals[0].name}", final=True)
                break
        if outcome.code:
            say(_last_words(outcome, max_restarts, time.monotonic() - begun))
        return outcome.code


@contextlib.contextmanager
def passed_on() -> Iterator[list[signal.Signals]]:
    """While open, SIGINT and SIGTERM (and a hangup, as SIGTERM) are noted in the list it gives."""
    came: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(signal.SIGTERM if number == signal.SIGHUP else signal.Signals(number))

    before = {number: signal.getsignal(number) for number in (*_PASSED_ON, signal.SIGHUP)}
    heard = [n for n in before if n in _PASSED_ON or before[n] is not signal.SIG_IGN]  # nohup
    for number in heard:
        signal.signal(number, note)
    try:
        yield came
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _interrupted(signals: Sequence[signal.Signals], seconds: float) -> bool:
    """Waits; True as soon as a signal came."""
    until = time.monotonic() + seconds
    while not signals and time.monotonic() < until:
        time.sleep(0.05)
    return bool(signals)


def _last_words(outcome: Outcome, max_restarts: int, seconds: float) -> str:
    how = f"{outcome.text}. Ending with exit code {outcome.code} after {seconds:.0f} s"
    if outcome.final:
        return how
    return f"{how}: the {max_restarts} restarts of --max_restarts are used up"


_writing = threading.Lock()


def _say(line: str) -> None:
    with _writing:
        print(f"[launch] {line}", file=sys.stderr, flush=True)
