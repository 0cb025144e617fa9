"""Strikes two workers again and again while the launcher restarts them, and compares the ends.

    python -m tests.faults.worker_kills --kills=30 --seed=1
    python -m tests.faults.worker_kills --kills=30 --seed=1 --first=10 --count=5   # a piece of it

Kill -9, SIGSTOP and SIGTERM meet the chief and the other worker in turn: while they start, after
a time drawn by lot while they train, and amid the write of a checkpoint. What the launcher ends
with must equal, bit for bit, what it ends with undisturbed: all variables, history, callbacks'
memories and the points that TensorBoard shows. And all workers must have ended within the time
that is stated.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time
from typing import NamedTuple

from tests.faults.kills import first_point, points
from trainer.checkpoint.proof import first_difference
from trainer.checkpoint.store import Store
from trainer.launch.crew import Limits
from trainer.launch.supervisor import supervise

JOB = pathlib.Path(__file__).with_name("worker_job.py")
ROOT = pathlib.Path(__file__).parents[2]
SIGNALS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM)
WORKERS = (0, 1)
MOMENTS = ("training", "start", "write")
FROZEN_SECONDS = 12.0  # until TensorFlow has told the others of one that is frozen
LOADED_SECONDS = 5.0  # more, on a machine with other work


class Blow(NamedTuple):
    """A strike that was made, and how long all workers then took to end; None: all were done."""

    what: str
    stated: float
    took: float | None

    @property
    def late(self):
        """Whether the workers took longer than is stated."""
        return self.took is not None and self.took > self.stated + LOADED_SECONDS

    def __str__(self):
        ends = "all were done" if self.took is None else f"all ended after {self.took:.1f} s"
        return f"{self.what}: {ends}, at most {self.stated:g} s are stated"


def stated(number, moment, limits):
    """Within how many seconds all have ended, as docs/launching.md has it."""
    if number == signal.SIGTERM:
        return limits.grace
    if number == signal.SIGKILL:
        return limits.end
    return limits.end + (limits.heartbeat if moment == "start" else FROZEN_SECONDS)


class Striker(threading.Thread):
    """Strikes the workers of a folder, once in each of their lives.

    Args:
        place: the job's folder.
        strikes: `(signal, worker, moment, when)`; `when` is seconds, or the number of the write.
        limits: of the launcher.
    """

    def __init__(self, place, strikes, limits):
        super().__init__(daemon=True, name="striker")
        self.place, self.strikes, self.limits = place, list(strikes), limits
        self.made: list[tuple[str, float, float]] = []  # (what, stated, when it was made)
        self.over = threading.Event()

    def blows(self, ended):
        """The strikes that were made, by the times at which all workers of a life had ended."""
        for what, seconds, at in self.made:
            after = [time for time in ended if time > at]
            yield Blow(what, seconds, min(after) - at if after else None)

    def run(self):
        """Waits for each life, then for its moment."""
        last: set[str] = set()
        for number, worker, moment, when in self.strikes:
            pids = self._wait(lambda last=last: self._life("pid", last))
            if pids is None:
                return
            last |= set(pids)
            if moment == "start":
                self.over.wait(when)
            elif self._wait(lambda pids=pids: self._life("begun", set(), pids)) is None:
                return
            elif moment == "training":
                self.over.wait(when)
            else:
                self._wait_for_write(when)
            if self.over.is_set():
                return
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself meanwhile
                at = time.monotonic()
                os.kill(int(pids[worker]), number)
                what = f"{number.name} of {worker}, {moment} {when:.2g}"
                self.made.append((what, stated(number, moment, self.limits), at))

    def _life(self, name, others, these=None):
        """The numbers of both processes, once both are there, and new, or `these`."""
        with contextlib.suppress(FileNotFoundError):
            found = [(self.place / f"{name}-{i}").read_text() for i in WORKERS]
            if not set(found) & others and these in (None, found):
                return found
        return None

    def _wait(self, ready):
        while not self.over.is_set():
            if (found := ready()) is not None:
                return found
            time.sleep(0.005)
        return None

    def _wait_for_write(self, number):
        seen: set[str] = set()
        until = time.monotonic() + 3
        while len(seen) < number and time.monotonic() < until and not self.over.is_set():
            with contextlib.suppress(FileNotFoundError):
                found = os.listdir(self.place / "checkpoints")
                seen |= {name for name in found if name.startswith((".tmp-", ".trash-"))}
            time.sleep(2e-4)


def lots(kills, seed):
    """Strikes: every signal on every worker in turn, each at a moment drawn by lot."""
    chance = random.Random(seed)
    kinds = list(itertools.islice(itertools.cycle(itertools.product(SIGNALS, WORKERS)), kills))
    chance.shuffle(kinds)
    for at, (number, worker) in enumerate(kinds):
        moment = MOMENTS[at % len(MOMENTS)]
        when = {
            "training": chance.uniform(0.0, 2.0),
            "start": chance.uniform(0.0, 8.0),
            "write": chance.randint(1, 3),
        }[moment]
        yield number, worker, moment, when


def run(place, every, strikes=(), limits=None):
    """One launch to its end: (exit code, blows, what was said)."""
    place.mkdir(parents=True, exist_ok=True)
    said, ended, errors = [], [], io.BytesIO()
    limits = limits or Limits(pause=0.1, heartbeat=30.0)
    striker = Striker(place, strikes, limits)

    def say(line):
        said.append(line)
        if line.startswith("restart "):
            ended.append(time.monotonic())

    striker.start()
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    try:
        code = supervise(
            ["script", str(JOB), str(place), str(every)],
            len(WORKERS),
            max_restarts=len(striker.strikes) + 3,  # a loaded machine may starve one
            limits=limits,
            environment=lambda index: {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"},
            say=say,
            out=io.BytesIO(),
            err=errors,
        )
    finally:
        striker.over.set()
        striker.join()
    if code:
        said.append(errors.getvalue().decode(errors="replace")[-4000:])
    return code, list(striker.blows(ended)), said


def compare(straight, struck):
    """The first difference between two folders' ends, or None."""
    ends = [Store(place / "checkpoints").newest() for place in (straight, struck)]
    if None in ends:
        return "a run left no checkpoint"
    found = first_difference(*(end.manifest for end in ends))
    return found or first_point(*(points(place / "logs") for place in (straight, struck)))


def main():
    """Strikes as often as asked; the exit code is 0 if no run ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="lots that are drawn, in all")
    parser.add_argument("--first", type=int, default=0, help="of them, the first that is made")
    parser.add_argument("--count", type=int, default=None, help="how many of them; all that follow")
    parser.add_argument("--each", type=int, default=5, help="at most so many in one run")
    parser.add_argument("--seed", type=int, default=1, help="of the lots")
    given = parser.parse_args()
    left = list(lots(given.kills, given.seed))[given.first :][: given.count]
    with tempfile.TemporaryDirectory() as folder:
        top, made_in_all, number, bad = pathlib.Path(folder), 0, 0, 0
        begun = time.monotonic()
        code, _, said = run(top / "straight", 97)
        if code:
            print("\n".join(said))
            return code
        print(f"uninterrupted: {time.monotonic() - begun:.0f} s", flush=True)
        while left:
            number += 1
            place = top / f"run-{number}"
            code, made, said = run(place, 97, left[: given.each])
            left, made_in_all = left[len(made) :], made_in_all + len(made)
            if code in (130, 143):
                print("stopped; nothing can be said of the last run")
                return code
            difference = f"exit code {code}" if code else compare(top / "straight", place)
            difference = difference or next((f"LATE: {blow}" for blow in made if blow.late), None)
            bad += difference is not None
            for blow in made:
                print(f"  {blow}")
            verdict = "same bits, in time" if difference is None else f"DIFFERS: {difference}"
            print(f"run {number}: struck {len(made)} times: {verdict}", flush=True)
            if difference is not None:
                print("\n".join(said))
        print(f"{made_in_all} strikes, {bad} runs differ, {time.monotonic() - begun:.0f} s")
        return bad


if __name__ == "__main__":
    sys.exit(main())
