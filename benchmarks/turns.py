"""Turns: contenders within one process, timed one after the other, another first each round."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping


def taken(
    turns: Mapping[str, Callable[[], float]],
    rounds: int,
    before: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """The seconds that each contender's turns gave, a turn a round.

    Each round begins with the next contender, so that none always follows the same one; what
    disturbs the machine for longer than a round disturbs all alike.

    Args:
        turns: contender -> what takes its turn and returns the seconds.
        rounds: turns of each.
        before: is called before each round: to let the machine come to rest, say.
    """
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    order = list(turns)
    for number in range(rounds):
        before()
        moved = number % len(order)
        for name in [*order[moved:], *order[:moved]]:
            seconds[name].append(turns[name]())
    return seconds


@contextlib.contextmanager
def nothing_known() -> Iterator[pathlib.Path]:
    """A folder for as long; what was decided before on how to compile is not known meanwhile."""
    name = "GRADLOOP_CACHE_DIR"
    before = os.environ.get(name)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        os.environ[name] = folder
        try:
            yield pathlib.Path(folder)
        finally:
            del os.environ[name]
            if before is not None:
                os.environ[name] = before
