"""Computing: a trainer's precision at work, in its layers, its loss scales and its traced steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from trainer.precision.check import leftovers, sentence
from trainer.precision.loss_scale import LossScale, Scalers
from trainer.precision.policy import HALVES, Precision, computes_in, in_force, meant_float32


class Computing:
    """What the steps of a task are computed in.

    Args:
        task: whose layers are told.
        precision: what they compute in; None: as each says itself.
        scope: where variables are made.
        warn: told a message once.

    Attributes:
        precision: as it was given.
        scalers: the loss scales of the optimizers.
    """

    def __init__(
        self,
        task: Any,
        precision: Precision | None,
        scope: Callable[[], Any],
        warn: Callable[[str], None],
    ) -> None:
        self.precision = precision
        self.scalers = Scalers(None if precision is None else precision.scale)
        self._task, self._scope, self._warn = task, scope, warn
        self._seen: set[str] = set()  # modes whose step was looked at

    def build(self) -> None:
        """Makes the loss scales of a task that is built; those that exist stay.

        Raises:
            ValueError: an optimizer keeps a loss scale of its own.
        """
        if self.precision is None and computes_in(self._task, "float16"):
            self.scalers.settings = LossScale()  # layers were set to float16 by their owner
        with self._scope():
            self.scalers.build(self._task)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """While it is open, the task's layers compute in the precision asked for."""
        with in_force(self.precision, self._task, self._warn):
            yield

    @contextmanager
    def making(self) -> Iterator[None]:
        """While it is open, the task may be built."""
        with self._scope(), self.in_force():
            yield

    def look(self, graph: tf.Graph, mode: str) -> None:
        """Says what half precision has not reached in a traced training step, once a mode.

        Without a precision, layers may have been set to half by their owner.
        """
        if mode in self._seen:
            return
        self._seen.add(mode)
        asked = self.precision
        dtypes = HALVES if asked is None else (asked.compute_dtype,)
        half = [x for x in dtypes if x in HALVES and (asked or computes_in(self._task, x))]
        if half and (found := leftovers(graph, meant_float32(asked, self._task))):
            self._warn(sentence(found, " and ".join(half)))
