"""Overflows: which updates a loss scale left out, and for which variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_STUCK = 20  # updates in a row left out at one scale, which halving has not helped


class Overflow(NamedTuple):
    """How often a variable's gradient was not finite.

    Attributes:
        variable: its path in the task.
        times: in so many updates, all of them left out.
        first: the first such step, from 1.
        last: the last such step.
        optimizer: the path of the optimizer whose update it was.
    """

    variable: str
    times: int
    first: int
    last: int
    optimizer: str


class Overflows:
    """Updates that were left out under a loss scale: how many, and by which variables.

    `print(trainer.overflows())` shows a table.

    Args:
        scalers: a `loss_scale.Scaler` for each optimizer.

    Attributes:
        rows: an `Overflow` for each variable and optimizer, the most frequent first.
        skipped: optimizer's path -> updates left out.
        forward: optimizer's path -> how many of these had a loss that was not finite itself: no
            scale helps there.
        scales: optimizer's path -> the scale of the next update.
    """

    def __init__(self, scalers: Sequence[Any]) -> None:
        self.rows = sorted((r for s in scalers for r in s.overflows()), key=lambda r: -r.times)
        self.skipped = {s.optimizer: int(s.skipped.numpy()) for s in scalers}
        self.forward = {s.optimizer: int(s.forward.numpy()) for s in scalers}
        self.scales = {s.optimizer: float(s.scale.numpy()) for s in scalers}

    def __str__(self) -> str:
        if not self.scales:
            return "the loss is not scaled, so no update is left out"
        lines = []
        for path, scale in self.scales.items():
            line = f"{path}: loss scale {scale:g}, {self.skipped[path]} updates left out"
            if lost := self.forward[path]:
                line += f", {lost} of them with a loss that was not finite (no scale helps there)"
            lines.append(line)
        if self.rows:
            width = max(len(row.variable) for row in self.rows)
            lines.append(f"{'variable':{width}}  {'times':>6} {'first':>8} {'last':>8}  optimizer")
            lines += [
                f"{r.variable:{width}}  {r.times:6} {r.first:8} {r.last:8}  {r.optimizer}"
                for r in self.rows
            ]
        return "\n".join(lines)

    __repr__ = __str__


def stuck(scalars: Mapping[str, np.ndarray]) -> str:
    """What to say of a run that leaves every update out and whose scale cannot move; "": nothing.

    Args:
        scalars: what the steps of a call reported, `[n]` by name.
    """
    for name, skipped in scalars.items():
        scales = scalars.get(f"{name.removesuffix('skipped')}loss_scale")
        if not name.endswith("skipped") or scales is None:
            continue
        if len(skipped) >= _STUCK and skipped.all() and len(set(scales.tolist())) == 1:
            return (
                f"the last {len(skipped)} updates were all left out ({name}) at the loss scale "
                f"{scales[0]:g}: gradients are not finite whatever the scale, so nothing is "
                "learnt. print(trainer.overflows()) tells by which variables; train them in "
                "bfloat16, or keep them in float32 by Precision(keep=...)."
            )
    return ""
