"""Building: all variables are made from the data's shapes, outside of any trace."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from trainer import arguments, state
from trainer.data.checks import check_labels
from trainer.data.segment import Source
from trainer.random import Seeds, fold, handed
from trainer.supervised import Supervised
from trainer.task import Task
from trainer.weights.transfer import LaterWeights

_STREAM = -1  # of seeds for initial weights, beside those of the steps


class Building:
    """Makes a task's variables, once for each function and kind of data.

    Args:
        task: whose they are.
        seed: of their initial values.
        parts: of a step.
        scope: what variables are made in.

    Attributes:
        specs: (function, spec's text) -> the spec of a batch built with.
        later: the weights that wait for variables.
    """

    def __init__(
        self, task: Task, seed: int, parts: int, scope: Callable[[], Any] = nullcontext
    ) -> None:
        self.specs: dict[tuple[str, str], Any] = {}
        self.later = LaterWeights(arguments.weights_root(task))
        self._task, self._seed, self._parts, self._scope = task, seed, parts, scope

    def build(
        self, verb: str, source: Source, y: Any, rows: int | None, *, argument: str = "y"
    ) -> None:
        """Makes all variables from one batch of the data, and checks its labels.

        Args:
            verb: "train", "evaluate" or "predict".
            source: the data.
            y: its targets as they were given, if any.
            rows: of a batch as they were given.
            argument: the name of y in messages.
        """
        key = (verb, str(source.element_spec))
        if key not in self.specs:
            self._make(verb, source.example(self._task.build_rows or (rows or 32) * self._parts))
            self.specs[key] = source.element_spec
        if isinstance(self._task, Supervised):
            # Integer labels out of range would be silent nonsense in a compiled step.
            for target in self._task.objective.integer_targets(y, argument):
                check_labels(*target)

    def load(self, path: Any, partial: str | None) -> None:
        """Loads weights, now or as soon as there are variables for them."""
        self.later.load(path, partial, built=bool(self.specs))

    def _make(self, verb: str, batch: Any) -> None:
        modules = state.modules(self._task)
        # Weights that wait come before the optimizer's slots, which may be copies of them.
        first = ["predict"] if self.later.waits and isinstance(self._task, Supervised) else []
        for part in [*first, verb]:
            seeds = Seeds(fold(self._seed, _STREAM), 0)
            with self._scope(), handed(modules, seeds.next), state.untouched(self._task):
                self._task.build(batch, part)
            self.later.built()
