"""Learning rates by name, those of the groups that an optimizer may be made of too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NAME = "learning_rate"


def is_rate(name: str) -> bool:
    """Whether a value of a step is a rate: "learning_rate", "g_optimizer/kernel$/learning_rate"."""
    return name.rpartition("/")[2] == NAME


def rated(path: str, optimizer: Any) -> Iterator[tuple[str, Any]]:
    """What an optimizer is made of, where each has a rate of its own, with its path.

    That are the groups of a `Groups`, also of one within wrappers: "optimizer/kernel$". Any other
    optimizer is one, of the path given.

    Args:
        path: of the optimizer; may be empty.
        optimizer: anything with `apply`.
    """
    around = optimizer
    while hasattr(getattr(around, "optimizer", None), "apply"):
        around = around.optimizer
    groups = getattr(around, "optimizers", None)
    if not isinstance(groups, Mapping):
        yield path, optimizer
        return
    for pattern, group in groups.items():
        yield from rated(f"{path}/{pattern}" if path else pattern, group)
