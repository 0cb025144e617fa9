"""NaNPostMortem: when a loss or a variable becomes NaN, says at which step, where, and why."""

from __future__ import annotations

import pathlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.callbacks.base import Callback, Control, Report
from trainer.callbacks.triggers import EachCall
from trainer.data.convert import names_of
from trainer.inspect.births import Birth, births
from trainer.inspect.replay import (
    Planned,
    all_finite,
    broken_columns,
    broken_variables,
    loss_column,
)

_TRAIL = 10  # steps before the bad one whose loss is told
_TOLD = 5


class Finding(NamedTuple):
    """What a post-mortem found.

    Attributes:
        step: number of the step that broke, counted from 1; the state is that before it.
        values: names of the reported values that were not finite; of variables, where they broke
            and no report shows it.
        data: names of the tensors of its batch that were not finite, with the row.
        births: operations of the step that made NaN or infinity out of numbers, in order, without
            those that the step before has too.
        variables: those that it left with NaN or infinity.
        trail: the loss of the steps up to it.
        notes: what else is to be said.
    """

    step: int
    values: list[str]
    data: list[str]
    births: list[Birth]
    variables: list[str]
    trail: np.ndarray
    notes: list[str]

    def __str__(self) -> str:
        lines = [f"step {self.step:,} broke: {_some(self.values)} not finite"]
        if self.data:
            lines.append(f"its batch did it: {'; '.join(self.data)}")
        for birth in self.births[:1]:
            lines.append(f"first by {birth}")
        lines += [f"   then by {birth}" for birth in self.births[1:_TOLD]]
        if self.variables:
            lines.append(f"it left broken: {_some(self.variables)}")
        lines.append(f"loss until it showed: {', '.join(f'{x:.4g}' for x in self.trail)}")
        return "\n".join([*lines, *self.notes])


class _Kept(NamedTuple):
    planned: Planned
    good: Any


class NaNPostMortem(Callback):
    """Ends a run whose loss, gradients or variables are not finite, and finds out why.

    Before each compiled call it notes the state, which TensorFlow copies at the next update; after
    it, it looks at what each step reported (the losses, and `gradient_norm` where the trainer
    reports it) and at every variable: a relu makes 0 of NaN, so that a loss may stay finite over
    broken weights. Where one is NaN or infinite, it goes back to the last good state, makes the
    steps again as they were compiled until just before the one that broke, and makes that one
    eagerly, looking at every operation: those that made NaN or infinity out of numbers are named,
    with the layer, the line and the values they took. Operations that do so in the step before as
    well (a mask of -inf) are not blamed.

    Training then ends; the model, its optimizer and the loss scale are as they were before the step
    that broke. Steps keep their numbers: `trainer.step`, and a checkpoint that is taken as the run
    ends, count those that were made after it too, which nothing is left of.
    The batch, the state and the text are in the folder.

    The state costs room for one more copy of all variables, and a second for the call before it;
    the time is that of copying every variable and reading it once a call, which is of half a second
    or 2,048 steps at most, and shorter where an epoch ends or a callback is due.

    Args:
        directory: where `step_N/` with batch.npz, state.npz and report.txt is written; None writes
            nothing.
        verbose: 1 prints what was found.

    Attributes:
        found: the `Finding`, None while all is well.
    """

    when = EachCall()
    writes_to = ("directory",)

    def __init__(self, directory: Any = "post_mortem", *, verbose: int = 1) -> None:
        self.directory = None if directory is None else pathlib.Path(directory)
        self.verbose = verbose
        self.found: Finding | None = None
        self._kept: deque[_Kept] = deque(maxlen=2)
        self._trail = np.zeros(0)

    def on_train_begin(self, run: Any) -> None:
        """Forgets earlier fits."""
        self.found = None
        self._whole = all_finite(run.task)
        self._kept.clear()
        self._trail = np.zeros(0)

    def before_call(self, planned: Planned) -> None:
        """Notes the state."""
        self._kept.append(_Kept(planned, planned.run.good_state()))

    def __call__(self, report: Report) -> Control | None:
        """Looks at the steps that were made."""
        begun = time.perf_counter()
        broken = broken_columns(report.steps)
        if broken:
            first = min(broken.values())
            # The updates before the step whose report is not finite.
            last = int(report.steps["step"][first]) - 1
            values = [name for name, at in broken.items() if at == first]
        else:
            last, values = report.step, [] if self._whole() else broken_variables(report.run.task)
        if not values or not self._kept:
            self._trail = np.concatenate([self._trail, loss_column(report.steps)])[-_TRAIL:]
            return None
        self.found, folder = self._examine(report, last, values)
        text = f"{self.found}\n(found in {time.perf_counter() - begun:.1f} s)"
        if folder is not None:
            text += f"\nbatch and state: {folder}"
        if self.verbose and report.run.chief:
            print(text, flush=True)
        self._kept.clear()
        return Control(stop=f"{values[0]} is not finite at step {self.found.step}")

    def on_train_end(self, report: Report) -> None:
        """Lets go of what was kept."""
        self._kept.clear()

    def _examine(
        self, report: Report, last: int, values: list[str]
    ) -> tuple[Finding, pathlib.Path | None]:
        """What is found, and the folder that the batch and the state were written to, if any."""
        run, task = report.run, report.run.task
        trail = np.concatenate([self._trail, loss_column(report.steps)])
        trail = trail[: len(self._trail) + last + 1 - int(report.steps["step"][0]) + 1]
        history = trail[-_TRAIL - 1 :]
        kept = self._last_whole(task, last)
        if kept is None:
            oldest = self._kept[0].planned.step
            before = self._kept[0].good.values
            variables = [k for k, v in before.items() if not np.isfinite(_small(v)).all()]
            note = (
                f"the variables were broken before step {oldest:,} already, where the oldest "
                "state that was kept stands"
            )
            return Finding(last + 1, values, [], [], variables, history, [note]), None
        planned, good = kept
        i = _first_breaking(planned, good, last - planned.step)
        batch = planned.batch(i)
        data, notes = _broken_rows(batch), []
        innocent = {b[:4] for b in self._of_the_step_before(kept, i)}
        planned.again(good, i)
        before = run.good_state()
        born = [b for b in births(lambda: planned.eagerly(i), task) if b[:4] not in innocent]
        variables = broken_variables(task)
        if not variables and not born and not data:
            notes.append(
                f"made eagerly the step is finite: it breaks only as compiled ({planned.mode!r})"
            )
        elif not born and not data:
            notes.append(
                "loss and gradients are finite: the optimizer's own kernel made it of them, "
                "in the update"
            )
        run.rewind(before)
        step = planned.step + i + 1
        if step <= last < report.step:
            notes.append(f"the loss showed it at step {last + 1:,}")
        finite = history[np.isfinite(history)]
        if len(finite) > 1 and finite[-1] > 10 * max(finite.min(), 1e-12):
            notes.append(
                "the loss had been rising: a smaller learning rate, a warm-up or clipping may do"
            )
        finding = Finding(step, values, data, born, variables, history, notes)
        if self.directory is None or not run.chief:  # of several workers one writes
            return finding, None
        folder = self.directory / f"step_{step}"
        _write(folder, batch, before.values, str(finding))
        return finding, folder

    def _of_the_step_before(self, kept: _Kept, i: int) -> list[Birth]:
        """Births in the step before step `i` of a call, which did no harm."""
        if i == 0:  # it is the last of the call before
            earlier = [k for k in self._kept if k.planned.step < kept.planned.step]
            if not earlier:
                return []
            kept, i = earlier[-1], kept.planned.step - earlier[-1].planned.step
        planned = kept.planned
        planned.again(kept.good, i - 1)
        return births(lambda: planned.eagerly(i - 1), planned.run.task)

    def _last_whole(self, task: Any, last: int) -> _Kept | None:
        """The newest state that was kept at or before that step and is finite."""
        for kept in reversed(self._kept):
            if kept.planned.step <= last and all(
                np.isfinite(_small(v)).all() for v in kept.good.values.values()
            ):
                return kept
        return None


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return f"{', '.join(names[:_TOLD])}{more}"


def _first_breaking(planned: Planned, good: Any, last: int) -> int:
    """The first step of a call, up to `last`, after which variables are broken, or `last` itself.

    What is broken stays so, so halving finds it: some ten replays of parts of a call.
    """
    low, high = 0, last  # after `low` steps all is whole; `high` is the answer or beyond it
    planned.again(good, high)
    if not broken_variables(planned.run.task):
        return last
    while high - low > 1:
        middle = (low + high) // 2
        planned.again(good, middle)
        if broken_variables(planned.run.task):
            high = middle
        else:
            low = middle
    return low


def _broken_rows(batch: Any) -> list[str]:
    found = []
    for name, leaf in zip(names_of(batch, "batch"), tf.nest.flatten(batch), strict=True):
        if leaf.dtype.is_floating:
            bad = np.argwhere(~np.isfinite(_small(leaf)))
            if len(bad):
                row = f", first in row {bad[0][0]}" if bad.shape[1] else ""
                values = "1 value that is" if len(bad) == 1 else f"{len(bad)} values that are"
                found.append(f"{name} has {values} not finite{row}")
    return found


def _small(value: Any) -> np.ndarray:
    """As float32, which NumPy can look at, whatever the float; whole numbers as they are."""
    array = np.asarray(value)
    return array if array.dtype.kind in "biuf" else array.astype(np.float32)


def _write(folder: pathlib.Path, batch: Any, values: Any, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    leaves = zip(names_of(batch, "batch"), tf.nest.flatten(batch), strict=True)
    arrays: dict[str, Any] = {name: _small(leaf) for name, leaf in leaves}
    np.savez(folder / "batch.npz", **arrays)
    arrays = {path.replace("/", "."): _small(value) for path, value in values.items()}
    np.savez(folder / "state.npz", **arrays)
    (folder / "report.txt").write_text(text + "\n", encoding="utf-8")
