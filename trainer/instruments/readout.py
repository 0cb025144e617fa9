"""Readout: several instruments on one compiled step, whose numbers leave it as one row."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import state
from trainer.instruments.base import Instrument, Seen


class Readout:
    """Reads updates while a step is traced, and knows where each number stands in its row.

    Args:
        instruments: that are due together.
        name_of: gives a variable its name.

    Attributes:
        width: numbers of a row, known once a step is traced.
    """

    def __init__(self, instruments: Sequence[Instrument], name_of: Callable[[Any], str]) -> None:
        self.instruments = tuple(instruments)
        self._name_of = name_of
        self.width = 0
        self._tracing = threading.local()  # each replica is traced by a thread of its own
        self._shapes: list[dict[str, tuple[int, ...]]] = []

    def begin(self) -> None:
        """A step begins to be traced."""
        self._tracing.found = [{} for _ in self.instruments]

    def before(self, variables: Sequence[Any]) -> list[tf.Tensor]:
        """The variables' values now; no later update changes them."""
        return [tf.identity(state.as_tf(v).read_value()) for v in variables]

    def after(
        self, label: str, variables: Sequence[Any], gradients: Sequence[Any], before: list[Any]
    ) -> None:
        """Has every instrument look at an update that has been made.

        Args:
            label: of its optimizer, "" when there is only one.
            variables: that it has moved.
            gradients: that the optimizer was given.
            before: what `before` gave.
        """
        dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        names = [self._name_of(v) for v in variables]
        seen = Seen(names, dense, before, self.before(variables))
        for instrument, found in zip(self.instruments, self._tracing.found, strict=True):
            for name, value in instrument(seen).items():
                # Two optimizers may move one variable.
                found[f"{label}/{name}" if name in found else name] = _checked(
                    instrument, name, value
                )

    def row(self) -> tf.Tensor:
        """Everything that was read of the step, float32 `[width]`."""
        self._shapes = [
            {name: tuple(value.shape) for name, value in found.items()}
            for found in self._tracing.found
        ]
        self.width = sum(math.prod(s) for shapes in self._shapes for s in shapes.values())
        flat = [
            tf.reshape(value, [-1]) for found in self._tracing.found for value in found.values()
        ]
        return tf.concat(flat, 0) if flat else tf.zeros([0])

    def split(self, rows: np.ndarray) -> dict[Instrument, Mapping[str, np.ndarray]]:
        """Rows of n steps, `[n, width]`, as instrument -> name -> `[n, ...]`."""
        result: dict[Instrument, Mapping[str, np.ndarray]] = {}
        first = 0
        for instrument, shapes in zip(self.instruments, self._shapes, strict=True):
            values = {}
            for name, shape in shapes.items():
                size = math.prod(shape)
                values[name] = rows[:, first : first + size].reshape(-1, *shape)
                first += size
            result[instrument] = values
        return result


def _checked(instrument: Instrument, name: str, value: Any) -> tf.Tensor:
    value = tf.cast(value, tf.float32)
    if not value.shape.is_fully_defined():
        raise ValueError(
            f"{type(instrument).__name__} read {name!r} of shape {value.shape}; every number has a "
            "place in a row, so the shape must be known when the step is traced."
        )
    return value
