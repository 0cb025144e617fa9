"""Ends the workers when the launcher is gone, however it went: no process is left behind.

    python guard.py

It is a process of its own, in its own session, started by its path with the standard library
alone. The launcher tells it on its standard input `+7001` when a worker has begun (its process,
which leads a process group) and `-7001` when that is over. When the input ends, the launcher has
ended: what is not over is killed, with all that it started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def watch(lines: Iterable[str]) -> None:
    """Reads until the launcher ends, then kills the groups that are left."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        kill_group(group)


def kill_group(group: int) -> None:
    """SIGKILL to a process group, which also ends processes that are stopped."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it is over, all of it
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when its input does
    watch(sys.stdin)
