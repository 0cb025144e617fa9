"""Learning rates of a run's optimizers, read and set between two compiled calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from trainer.callbacks.base import Run
from trainer.learning_rates import rated


def chosen(run: Run, optimizer: str | None, who: str) -> list[str]:
    """Paths of the optimizers whose rate is meant: one by its path, or all.

    Groups of optimizers have a path for each, "optimizer/kernel$"; that of the whole means all.

    Raises:
        ValueError: there is none, or none of that path, or the rate of one cannot be set.
    """
    known = _single(run)
    paths = [p for p in known if optimizer in (None, p) or p.startswith(f"{optimizer}/")]
    if optimizer is not None and not paths:
        raise ValueError(
            f"{who}(optimizer={optimizer!r}): the task has no optimizer of that path; it has "
            f"{', '.join(map(repr, known)) or 'none'}."
        )
    if not paths:
        raise ValueError(f"{who}: the task has no optimizer, so there is no rate to set.")
    for path in paths:
        _check(known[path], path, who)
    return paths


def read(run: Run, path: str) -> float:
    """The rate of the next update."""
    return float(tf.convert_to_tensor(_single(run)[path].learning_rate))


def write(run: Run, paths: Sequence[str], rate: float) -> None:
    """Sets the rate of the next update; nothing is traced again."""
    for path in paths:
        _single(run)[path].learning_rate = rate


def _single(run: Run) -> dict[str, Any]:
    """Path -> optimizer with one rate, for every optimizer and every group of one."""
    return {
        path: single
        for name, optimizer in run.optimizers.items()
        for path, single in rated(name, optimizer)
    }


def _check(optimizer: Any, path: str, who: str) -> None:
    """Whether assigning to `learning_rate` reaches the compiled step."""
    rate = getattr(optimizer, "learning_rate", None)
    if rate is None or isinstance(rate, (int, float)):
        raise ValueError(
            f"{who}: the learning rate of {path} is "
            f"{'nowhere to be found' if rate is None else f'the Python number {rate}'}, and a "
            "compiled step keeps the number that it was traced with. Give the optimizer an "
            "attribute `learning_rate` that is a tf.Variable, or a property that assigns to one."
        )
    before = float(tf.convert_to_tensor(rate))
    try:
        optimizer.learning_rate = before
    except (TypeError, AttributeError) as error:
        raise ValueError(
            f"{who}: the learning rate of {path} cannot be set: {error} A schedule is a function "
            "of the step and stays one; give the optimizer a number to have it set from outside."
        ) from error
