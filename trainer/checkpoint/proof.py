"""Certify: proves on a job of one's own that it continues bit for bit after having been killed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.checkpoint.errors import CheckpointError
from trainer.checkpoint.manifest import Manifest
from trainer.checkpoint.store import Store

_ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What was tried and found.

    Attributes:
        job: what was run.
        steps: of an uninterrupted run.
        kills: where the other run was killed: "before step 120", "0.8 s after it began".
        difference: the first thing in which the two ended otherwise, or None.
        steady: whether two uninterrupted runs end alike; None where that was not asked, because
            there was no difference.
    """

    job: str
    steps: int
    kills: tuple[str, ...]
    difference: str | None = None
    steady: bool | None = None

    @property
    def passed(self) -> bool:
        """Whether the killed run ended as the uninterrupted one, bit for bit."""
        return self.difference is None

    def __str__(self) -> str:
        killed = f"{len(self.kills)} times ({'; '.join(self.kills)})"
        if self.passed:
            return (
                f"{self.job}: killed {killed}, it ended after {self.steps:,} steps bit for bit as "
                "an uninterrupted run: weights, optimizer, history, callbacks."
            )
        text = f"{self.job}: killed {killed}, it ended otherwise. First: {self.difference}"
        if self.steady is False:
            text += (
                "\nTwo uninterrupted runs differ too, so the job itself is not deterministic: look "
                "for random numbers that are not drawn from ctx.seed(), for unseeded shuffles, and "
                "for threads."
            )
        return text


def certify(
    job: str,
    *,
    kills: int = 5,
    seed: int = 0,
    seconds: float = 3600.0,
    folder: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Certificate:
    """Trains in processes of their own: once straight, once killed (SIGKILL) again and again.

    The kills strike in turn right before a step drawn by lot, after a time drawn by lot (amid a
    compiled call, say), and while a checkpoint is being written or removed.

    Args:
        job: "file.py:function" or "package.module:function". The function takes one argument, to
            be passed on as `Trainer(..., checkpoint=...)`, and trains by one or more calls of `fit`
            that always ask for the same.
        kills: how many.
        seed: of the lots.
        seconds: the longest that one process may take.
        folder: where both runs keep their checkpoints, in `straight` and `killed`; a temporary one
            by default.
        say: told what happens, a line at a time.

    Raises:
        CheckpointError: the job fails by itself, or took no checkpoint; its words are given.
        ValueError: `job` names no function.
    """
    name = f"{job}"
    if ":" not in name:
        raise ValueError(f"job={job!r}: give 'file.py:function' or 'package.module:function'.")
    place = pathlib.Path(folder or tempfile.mkdtemp(prefix="certify-"))
    lots = random.Random(seed)
    try:
        straight = _finish(name, place / "straight", {}, seconds)
        manifest = _last(place / "straight")
        say(f"uninterrupted: {manifest.step:,} steps in {straight['seconds']:.1f} s")
        struck = []
        for number in range(kills):
            doom = _doom(lots, number, manifest.step, straight["seconds"])
            where = _strike(name, place / "killed", doom, seconds)
            say(f"kill {number + 1} of {kills}: {where}")
            struck.append(where)
        _finish(name, place / "killed", {"every": max(1, manifest.step // 7)}, seconds)
        difference = first_difference(manifest, _last(place / "killed"))
        steady = None
        if difference is not None:
            _finish(name, place / "again", {}, seconds)
            steady = first_difference(manifest, _last(place / "again")) is None
        return Certificate(name, manifest.step, tuple(struck), difference, steady)
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def first_difference(a: Manifest, b: Manifest) -> str | None:
    """The first thing in which two checkpoints differ, in the order of the first; None if none.

    Compared are the values of all variables (by their hashes), position, history, open windows and
    the callbacks' memories; not the time, the machine, or the serial number.
    """
    if a.step != b.step:
        return f"the step: {a.step:,} and {b.step:,}"
    for name in [*a.values, *b.values]:
        x, y = a.values.get(name), b.values.get(name)
        if x is None or y is None:
            return f"{name} is in one of them only"
        if (x.shape, x.dtype, x.sha256) != (y.shape, y.dtype, y.sha256):
            return f"{name}, {x.dtype} {list(x.shape)}"
    return tree_difference(a.plain, b.plain, "")


def tree_difference(a: Any, b: Any, path: str) -> str | None:
    """The first place in which two trees of plain values differ; None if none."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in [*a, *(k for k in b if k not in a)]:
            if key not in a or key not in b:
                return f"{path}{key} is in one of them only"
            if (found := tree_difference(a[key], b[key], f"{path}{key}/")) is not None:
                return found
        return None
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        parts = (tree_difference(x, y, f"{path}{i}/") for i, (x, y) in pairs)
        return next((part for part in parts if part is not None), None)
    same = a == b or (a != a and b != b)  # NaN is itself
    return None if same else f"{path.rstrip('/')}: {a!r} and {b!r}"


def _last(folder: pathlib.Path) -> Manifest:
    found = Store(folder).newest()
    if found is None:
        raise CheckpointError(
            "the job took no checkpoint: its function must pass its argument on, as "
            "Trainer(..., checkpoint=checkpoint)."
        )
    return found.manifest


def _doom(lots: random.Random, number: int, steps: int, seconds: float) -> dict[str, Any]:
    """When to strike: before a step, so many seconds after training began, or at a write."""
    every = lots.randint(1, max(1, steps // 5))
    kind = ("step", "seconds", "write")[number % 3]
    value = {
        "step": lots.randint(1, max(1, steps)),
        "seconds": lots.uniform(0.0, seconds),
        "write": lots.randint(1, 3),
    }[kind]
    return {"every": every, kind: value}


def _start(job: str, folder: pathlib.Path, doom: Mapping[str, Any]) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    paths = [os.getcwd(), str(_ROOT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    words = [sys.executable, "-m", "trainer.checkpoint.doomed", job, str(folder), json.dumps(doom)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def _finish(
    job: str, folder: pathlib.Path, doom: Mapping[str, Any], seconds: float
) -> dict[str, float]:
    """Runs the job to its end; returns what its process reported."""
    process = _start(job, folder, doom)
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise CheckpointError(f"{job} took over {seconds:g} s.") from None
    if process.returncode:
        raise CheckpointError(f"{job} failed by itself:\n{_tail(said.splitlines())}")
    return json.loads(said.splitlines()[-1])


def _strike(job: str, folder: pathlib.Path, doom: Mapping[str, Any], seconds: float) -> str:
    """Runs the job until it is killed; returns where that was."""
    lines: list[str] = []
    with _start(job, folder, doom) as process:
        limit = threading.Timer(seconds, process.kill)
        limit.start()
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("begun") and "seconds" in doom:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(doom["seconds"])
                process.kill()
            elif line.startswith("begun") and "write" in doom:
                _await_write(folder, doom["write"], process)
                process.kill()
        code = process.wait()
        late = not limit.is_alive()
        limit.cancel()
    if late:
        raise CheckpointError(f"{job} took over {seconds:g} s.")
    if code == 0:
        return "at its end"
    if code != -signal.SIGKILL:
        raise CheckpointError(f"{job} failed by itself:\n{_tail(lines)}")
    if "step" in doom:
        return next(line for line in lines if line.startswith("struck")).removeprefix("struck ")
    if "write" in doom:
        return f"amid write {doom['write']}"
    return f"{doom['seconds']:.2f} s after it began"


def _await_write(folder: pathlib.Path, number: int, process: subprocess.Popen[str]) -> None:
    """Waits until the folder is being written to for the so-manieth time, or the job has ended."""
    seen: set[str] = set()
    while len(seen) < number and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            seen |= {n for n in os.listdir(folder) if n.startswith((".tmp-", ".trash-"))}
        time.sleep(2e-4)


def _tail(lines: Sequence[str]) -> str:
    return "\n".join(f"  {line}" for line in lines[-20:])
