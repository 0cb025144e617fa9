"""Planned: a compiled call that is about to be made, which can be made again from its beginning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from trainer import state

if TYPE_CHECKING:
    from trainer.handle import Handle
    from trainer.loop import Columns, Loop, StepOutput
    from trainer.roles import GoodState

_NORM = "gradient_norm"


class Planned:
    """A compiled call of some steps, as a callback is told before it is made.

    Attributes:
        run: the run.
        step: updates made before it.
        n: steps that it will make.
    """

    def __init__(self, run: Handle, loop: Loop, args: Any, first: int, n: int) -> None:
        self.run, self.step, self.n = run, run.step, n
        self._loop, self._args, self._first = loop, args, first

    @property
    def mode(self) -> str:
        """How it is compiled: "graph", "step" or "loop"."""
        return self._loop.mode

    def batch(self, i: int) -> Any:
        """The batch of its step `i`, from 0."""
        return self._loop.batch(self._args, self._first + i)

    def again(self, good: GoodState, n: int) -> Columns | None:
        """Goes back to the state at its beginning and makes its first `n` steps as before.

        The number of steps that the run counts stays what it is.
        """
        self.run.rewind(good)
        if n == 0:
            return None
        with self._loop.counting_from(self.step):
            return self._loop(self._args, self._first, n)

    def eagerly(self, i: int) -> StepOutput:
        """Makes its step `i` eagerly, from the state at hand."""
        return self._loop.eager_step(self._args, self._first + i, self.step + i)


def broken_variables(task: Any) -> list[str]:
    """Paths of the variables that hold NaN or an infinity."""
    return [
        path
        for path, variable in state.variables(task).items()
        if variable.dtype.is_floating and not is_finite(variable)
    ]


def all_finite(task: Any) -> Callable[[], bool]:
    """A compiled look at all variables at once: whether they hold numbers only."""
    variables = [v for v in state.variables(task).values() if v.dtype.is_floating]

    @tf.function(autograph=False)
    def look() -> tf.Tensor:
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(v)) for v in variables])

    compiled = look.get_concrete_function()
    return lambda: bool(compiled())


def is_finite(value: Any) -> bool:
    """Whether a tensor of floats holds numbers only."""
    return bool(tf.reduce_all(tf.math.is_finite(value)))


def broken_columns(steps: Any) -> dict[str, int]:
    """Name -> place of the first step whose loss or gradient is not finite, if any is.

    Gradients of an update that the loss scale left out do not count: it looks for its place so.
    """
    named = [k for k in steps if k != "step"]
    told = [k for k in named if "loss" in k or k.endswith(_NORM)] or named
    found = {}
    for name in told:
        bad = ~np.isfinite(steps[name])
        if name.endswith(_NORM) and (skipped := f"{name.removesuffix(_NORM)}skipped") in steps:
            bad &= steps[skipped] == 0
        if bad.any():
            found[name] = int(np.argmax(bad))
    return found


def loss_column(steps: Mapping[str, np.ndarray]) -> np.ndarray:
    """The loss of each step; what each reports first, where none is called so."""
    name = next((k for k in ("loss", *steps) if k in steps and k != "step"), None)
    return np.zeros(len(steps["step"])) if name is None else steps[name]
