"""Workers without TensorFlow: small scripts, so that a start takes tens of milliseconds."""

from __future__ import annotations

import io
import os
import pathlib
import sys
import textwrap
import time

import pytest

from trainer import launch as package
from trainer.launch.crew import Limits
from trainer.launch.supervisor import supervise

HEAD = """
import json, os, pathlib, signal, subprocess, sys, time
task = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
place = pathlib.Path(sys.argv[1])
start = len(list(place.glob(f"start-{task}-*")))  # 0 at the first, 1 after a restart
(place / f"start-{task}-{start}").write_text(os.environ["TF_CONFIG"])
(place / f"pid-{task}-{start}").write_text(str(os.getpid()))
def wait():
    time.sleep(60)
    raise SystemExit("nobody ended this")
"""

# Makes modules of trainer/launch importable without what the package imports: TensorFlow.
ALONE = f"""
import sys, types
package = types.ModuleType("trainer")
package.__path__ = [{str(pathlib.Path(package.__file__).parents[1])!r}]
sys.modules["trainer"] = package
"""


def python(code, *words):
    """The words of a Python that runs code with trainer/launch alone."""
    return [sys.executable, "-c", ALONE + code, *words]


class Launched:
    """What a launch gave."""

    def __init__(self, code, said, out, err, seconds, place):
        self.code, self.said, self.out, self.err = code, "\n".join(said), out, err
        self.seconds, self.place = seconds, place

    def starts(self, task=0):
        return len(list(self.place.glob(f"start-{task}-*")))

    def pids(self):
        return [int(path.read_text()) for path in self.place.glob("*pid-*")]


@pytest.fixture
def write(tmp_path):
    """Writes a worker's script: `task` is its number, `start` how often it was restarted."""

    def write(body):
        script = tmp_path / "script.py"
        script.write_text(HEAD + textwrap.dedent(body))
        return script

    return write


@pytest.fixture
def launch(tmp_path, write):
    """Launches a script's body on two workers."""

    def launch(body, *words, workers=2, max_restarts=0, **limits):
        said, out, err = [], io.BytesIO(), io.BytesIO()
        begun = time.monotonic()
        code = supervise(
            ["script", str(write(body)), str(tmp_path), *words],
            workers,
            max_restarts=max_restarts,
            limits=Limits(**{"end": 0.3, "grace": 5.0, "pause": 0.1, **limits}),
            say=said.append,
            out=out,
            err=err,
        )
        seconds = time.monotonic() - begun
        return Launched(
            code, said, out.getvalue().decode(), err.getvalue().decode(), seconds, tmp_path
        )

    return launch


def gone(pid):
    """Whether a process has ended (or is only waited for by nobody)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return not os.path.exists("/proc")  # elsewhere a zombie cannot be told from a process


def await_gone(pids, seconds=5.0):
    """Whether all have ended within so many seconds."""
    until = time.monotonic() + seconds
    while not all(gone(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
