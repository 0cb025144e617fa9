"""Contenders as processes that sleep on a pipe until they are told something."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, Protocol

from benchmarks import quiet

SECONDS = 1800.0  # the longest that one command may take
# Makes rich draw its progress bar into the log as it would on a terminal, so that it is paid for.
TERMINAL = {"TTY_COMPATIBLE": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "100"}
ROOT = pathlib.Path(__file__).resolve().parent.parent


class Contender(Protocol):
    """What is measured: something that answers commands."""

    name: str

    def send(self, do: str, **arguments: Any) -> None:
        """Gives a command."""

    def receive(self) -> dict[str, Any]:
        """Waits for the command's answer."""
        ...

    def close(self) -> None:
        """Ends it."""


class Failed(Exception):
    """A contender could not do what it was told; the message says why."""


class Process:
    """A contender in a process of its own, which sleeps on a pipe until it is told something.

    Args:
        name: of the contender in the results.
        spec: `workload`, `peer`, `settings`, `folder` (see `benchmarks.child`).
        log: file that takes all that the process prints.
        seconds: the longest that one command may take.
    """

    def __init__(
        self, name: str, spec: Mapping[str, Any], log: pathlib.Path, *, seconds: float = SECONDS
    ) -> None:
        self.name = name
        self.log = log
        self.seconds = seconds
        read, write = os.pipe()
        folder = log.with_suffix("")
        folder.mkdir(exist_ok=True)
        environment = {**quiet.ENVIRONMENT, **os.environ, **TERMINAL, "TMPDIR": str(folder)}
        environment["GRADLOOP_CACHE_DIR"] = str(folder)  # what was found out before is not known
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.child", str(write), json.dumps(dict(spec))],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(write,),
                env=environment,
            )
        os.close(write)
        self.answers = Connection(read, writable=False)

    def send(self, do: str, **arguments: Any) -> None:
        """Gives a command; see `benchmarks.child.Server` for what there is."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `receive` tells
            self.process.stdin.write((json.dumps({"do": do, **arguments}) + "\n").encode())
            self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The answer.

        Raises:
            Failed: the command failed, the process died, or it took longer than `seconds`.
        """
        in_time = self.answers.poll(self.seconds)
        try:
            if not in_time:
                raise EOFError
            answer = json.loads(self.answers.recv_bytes())
        except EOFError:
            self.process.kill()
            code = self.process.wait()
            why = f"ended with exit code {code}" if in_time else f"took over {self.seconds:.0f} s"
            raise Failed(f"its process {why}; the end of its log:\n{self.tail()}") from None
        for kind in ("unavailable", "error"):
            if kind in answer:
                raise Failed(answer[kind])
        return answer

    def tail(self, lines: int = 60) -> str:
        """The end of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.answers.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Seat:
    """A contender that shares a process with others.

    Two processes may find the processors in different states for whole rounds (other threads,
    other memory); in one, what disturbs a contender for long disturbs all. Peak memory is theirs
    together.

    Args:
        name: of the contender, one of the process's `seats`.
        process: the process.
    """

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process

    def send(self, do: str, **arguments: Any) -> None:
        """Gives a command."""
        self.process.send(do, seat=self.name, **arguments)

    def receive(self) -> dict[str, Any]:
        """The answer; see `Process.receive`."""
        return self.process.receive()

    def close(self) -> None:
        """Leaves; the process goes on for the others."""


def ask(contender: Contender, do: str, **arguments: Any) -> dict[str, Any]:
    """Gives a command and waits for the answer."""
    contender.send(do, **arguments)
    return contender.receive()
