"""compare: two runs in step, on the same batches; where they part, and by how much."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import arguments
from trainer.data.source import open_source
from trainer.inspect import plots
from trainer.inspect.data_checks import draw
from trainer.inspect.sides import side_of

_LEAST = 0.1  # what differences are at least held against: a bias near 0 is mostly rounding


class Parting(NamedTuple):
    """Where two runs part.

    Attributes:
        step: the first step after which something differs by more than the tolerance; 0 if they
            start apart.
        variable: what differs most there, or "loss".
        difference: by how much, as in `Comparison.differences`.
    """

    step: int
    variable: str
    difference: float


class Comparison:
    """Two runs, step by step.

    Attributes:
        variables: names, as the first run has them.
        losses: `[steps, 2]`, of each step of both; of a task that reports none called "loss", what
            it reports first.
        differences: `[steps + 1, variables]`: the largest difference of any number of a variable,
            over the largest absolute one in the first run, or 0.1 where that is smaller; row 0 is
            before the first step.
        tolerance: what counts as a difference.
    """

    def __init__(
        self,
        variables: Sequence[str],
        losses: np.ndarray,
        differences: np.ndarray,
        tolerance: float,
    ) -> None:
        self.variables = list(variables)
        self.losses, self.differences, self.tolerance = losses, differences, tolerance

    @property
    def parting(self) -> Parting | None:
        """Where they part; None if they never do."""
        loss = _relative(self.losses[:, 0], self.losses[:, 1])
        for step, row in enumerate(self.differences):
            if step and not loss[step - 1] <= self.tolerance:  # seen before the update
                return Parting(step, "loss", float(loss[step - 1]))
            if not row.max(initial=0.0) <= self.tolerance:
                at = int(np.argmax(np.where(np.isnan(row), np.inf, row)))
                return Parting(step, self.variables[at], float(row[at]))
        return None

    def plot(self, path: Any) -> None:
        """Draws the differences over the steps to a file."""
        made = plots.figure()
        axes = made.subplots()
        floor = 1e-9
        steps = np.arange(len(self.differences))
        order = np.argsort(-self.differences[-1])
        for place, at in enumerate(order):
            label = self.variables[at] if place < 5 else None
            axes.plot(steps, np.maximum(self.differences[:, at], floor), linewidth=1, label=label)
        axes.axhline(self.tolerance, color="0.5", linestyle=":", linewidth=1)
        if (parting := self.parting) is not None:
            axes.axvline(parting.step, color="tab:red", linestyle="--", linewidth=1)
        axes.set_yscale("log")
        axes.set_ylim(bottom=floor)
        axes.xaxis.get_major_locator().set_params(integer=True)
        plots.plain(axes, title="two runs in step", x="step", y="largest relative difference")
        axes.legend(frameon=False, fontsize=8)
        plots.write(made, path)

    def __repr__(self) -> str:
        steps, parting = len(self.losses), self.parting
        if parting is None:
            worst = float(self.differences.max(initial=0.0))
            return f"in step for {steps} steps, within {worst:.1e} of {self.tolerance:.1e} allowed"
        when = f"at step {parting.step}" if parting.step else "before the first step"
        return f"they part {when}, in {parting.variable}, by {parting.difference:.2e}"


def compare(
    a: Any,
    b: Any,
    x: Any,
    y: Any = None,
    *,
    steps: int = 20,
    batch_size: int = 32,
    sample_weight: Any = None,
    copy_weights: bool = True,
    tolerance: float = 1e-5,
) -> Comparison:
    """Trains two scratch copies on the same batches, and holds every variable against its twin.

    Each is a `Trainer`, or a compiled Keras model, which takes its own training step. Variables are
    matched in order, which for layers of ours and of Keras's is the same; statistics that are not
    trained are among them. Random layers draw for themselves: leave them out, or give both the
    same seed where both are ours. Both are afterwards as they were before.

    Args:
        a: the first run; the room for a copy of its variables for each step is needed.
        b: the second.
        x: arrays.
        y: targets.
        steps: how many steps.
        batch_size: rows of a step; a trainer that accumulates k parts gets a k-th for each.
        sample_weight: `[n]`.
        copy_weights: whether `b` begins from the weights of `a`.
        tolerance: the relative difference at which they part.

    Raises:
        ValueError: the variables of the two do not match, or `steps` is below 1.
        TypeError: one is neither a trainer nor a compiled Keras model, or `steps` is no number.
    """
    arguments.whole("steps", steps, at_least=1)
    one, other = side_of(a), side_of(b)
    batches = _batches(x, y, sample_weight, batch_size, steps)
    first: list[tuple[float, list[np.ndarray]]] = []
    with one.trying(batches):
        start = one.values()
        one.run(batches, lambda loss: first.append((loss, one.values())))
    losses: list[tuple[float, float]] = []
    rows: list[list[float]] = []
    with other.trying(batches):
        _check_shapes(one.names, start, other.names, other.values())
        if copy_weights:
            other.assign(start)
        rows.append(_differences(start, other.values()))

        def saw(loss: float) -> None:
            theirs, values = first[len(losses)]
            losses.append((theirs, loss))
            rows.append(_differences(values, other.values()))

        other.run(batches, saw)
    return Comparison(one.names, np.array(losses), np.array(rows), tolerance)


def _batches(x: Any, y: Any, sample_weight: Any, rows: int, steps: int) -> list[Any]:
    """The batches of so many steps, in order, over and over, as NumPy arrays."""
    source = open_source(x, y, sample_weight, batch_size=rows)
    try:
        again = itertools.chain.from_iterable(draw(source) for _ in itertools.count())
        taken = itertools.islice(again, steps)
        return [tf.nest.map_structure(lambda t: t.numpy(), batch) for batch in taken]
    finally:
        source.close()


def _check_shapes(
    names_a: Sequence[str], a: Sequence[Any], names_b: Sequence[str], b: Sequence[Any]
) -> None:
    for i, (u, v) in enumerate(itertools.zip_longest(a, b)):
        if u is None or v is None or u.shape != v.shape:
            one = "nothing" if u is None else f"{names_a[i]} {list(u.shape)}"
            other = "nothing" if v is None else f"{names_b[i]} {list(v.shape)}"
            raise ValueError(
                f"the variables of the two do not match: number {i} is {one} in the first and "
                f"{other} in the second. They are matched in order; build both alike."
            )


def _differences(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> list[float]:
    return [
        float(_relative(u.ravel(), v.ravel()).max(initial=0.0)) for u, v in zip(a, b, strict=True)
    ]


def _relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differences over the largest of `a`, or 0.1; NaN in one alone is infinite."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    gap = np.abs(a - b) / max(float(np.nanmax(np.abs(a), initial=0.0)), _LEAST)
    return np.where(np.isnan(a) & np.isnan(b), 0.0, np.where(np.isnan(gap), np.inf, gap))
