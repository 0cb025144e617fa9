"""Window: what a run has summed since an epoch or a log line began, on the host in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.metrics.base import Metric, divide_no_nan


class Window:
    """Adds sums of steps and gives values.

    The rows of a call are added one after the other, never pairwise, and what is too large for rows
    is handed to the next call, which goes on adding to it. So the sums do not depend on how a run
    was cut into calls: one call of n steps gives the same bits as n calls of one.

    Args:
        metrics: name -> `Metric`, whose `result` turns sums into the value. A name without a
            metric (a loss) is a (total, count) pair whose value is `total / count`.

    Example:
        >>> window = Window()
        >>> window.add({"loss": (np.array([6.0, 2.0]), np.array([2.0, 1.0]))})
        >>> window.add({"loss": (np.array([1.0]), np.array([1.0]))})
        >>> window.values()
        {'loss': 2.25}
    """

    def __init__(self, metrics: Mapping[str, Metric] | None = None) -> None:
        self.metrics = dict(metrics or {})
        self.sums: dict[str, Any] = {}  # name -> nest in float64: arrays, or tensors if carried

    def add(self, rows: Mapping[str, Any], carried: Mapping[str, Any] | None = None) -> None:
        """Adds the sums of one call of the loop.

        Args:
            rows: name -> nest of per-step sums, each `[n, ...]`; (total, count) pairs `[n]` mostly.
            carried: name -> nest of sums that the loop was handed from `sums` and gives back with
                those of its steps added, in float64; they take the place of the old ones.
        """
        for name, nest in rows.items():
            self._add(name, tf.nest.map_structure(_column, nest))
        self.sums.update(carried or {})

    def _add(self, name: str, nest: Any) -> None:
        flat = tf.nest.flatten(nest)
        old = (
            tf.nest.flatten(self.sums[name]) if name in self.sums else [np.float64(0.0)] * len(flat)
        )
        if len(old) != len(flat):
            raise ValueError(
                f"{name!r}: {len(flat)} sums were added to a window that holds {len(old)} of them; "
                "a metric must return the same structure at every step."
            )
        added = [_add_rows(_column(a), b) for a, b in zip(old, flat, strict=True)]
        self.sums[name] = tf.nest.pack_sequence_as(nest, added)

    def values(self) -> dict[str, Any]:
        """The value of everything added, by name; empty before anything was.

        Floats, and arrays where a metric's value is one (`Metric.result`).
        """
        found = {}
        for name, sums in self.sums.items():
            sums = tf.nest.map_structure(_column, sums)
            metric = self.metrics.get(name)
            found[name] = metric.result(sums) if metric else float(divide_no_nan(*sums))
        return found

    def step_values(self, rows: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The value of each step alone, by name: float64 `[n]`, of (total, count) rows.

        Nothing is added. Sums that are not pairs have no value per step here and are left out.
        """
        return {
            name: self.metrics[name].value(*pair) if name in self.metrics else divide_no_nan(*pair)
            for name, pair in rows.items()
            if isinstance(pair, (tuple, list)) and len(pair) == 2
        }

    def names(self, sums: Mapping[str, Any]) -> list[str]:
        """Names that `scalars` would give the values of such sums, of which only shapes count.

        Those of a metric that cannot do with sums that are all 1 are taken for one value.
        """
        found: list[str] = []
        for name, nest in sums.items():
            try:
                trial = Window(self.metrics)
                trial.sums = {name: tf.nest.map_structure(lambda x: np.ones(x.shape), nest)}
                with np.errstate(all="ignore"):
                    found += scalars(trial.values())
            except (ArithmeticError, ValueError, TypeError, LookupError, tf.errors.OpError):
                found.append(name)
        return found

    def reset(self) -> None:
        """Opens a new window."""
        self.sums = {}

    def memory(self) -> dict[str, Any]:
        """The sums as dicts and lists of arrays, for a checkpoint of a window still open."""
        return {name: _plain(sums) for name, sums in self.sums.items()}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Puts back what `memory` gave."""
        self.sums = {name: _plain(sums) for name, sums in memory.items()}


def _column(values: Any) -> np.ndarray:
    return np.asarray(values, np.float64)


def _add_rows(total: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`total` plus each of the rows `[n, ...]`, in their order."""
    first = np.broadcast_to(total, rows.shape[1:])[np.newaxis]
    return np.add.accumulate(np.concatenate([first, rows]), axis=0)[-1]


def scalars(values: Mapping[str, Any]) -> dict[str, float]:
    """Values as numbers by name: entries of an array `[n]` are called `name_0`, `name_1`, ...

    Arrays of more axes, such as a confusion matrix, are no numbers to follow and are left out.
    """
    found = {}
    for name, value in values.items():
        if np.ndim(value) == 0:
            found[name] = float(value)
        elif np.ndim(value) == 1:
            found.update({f"{name}_{i}": float(x) for i, x in enumerate(value)})
    return found


def _plain(nest: Any) -> Any:
    if isinstance(nest, Mapping):
        return {key: _plain(part) for key, part in nest.items()}
    if isinstance(nest, (tuple, list)):
        return [_plain(part) for part in nest]
    return np.array(nest, np.float64)
