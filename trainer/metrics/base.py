"""Metric: a pure function from a batch to sums that add, and a function from sums to the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.sums import Sums

DIRECTIONS = ("max", "min", None)


class Metric:
    """A quantity over a whole data set, computed from sums over its parts.

    A metric keeps no state. `__call__` is traced into the compiled step and returns a `Sums`, or
    any nest of tensors that is added elementwise over steps; `result` runs on the host, once per
    window, on those sums in float64.

    Attributes:
        name: under which the value is reported.
        direction: "max" or "min", where the better values are; None when that is not known.
        probabilities: whether predictions must be probabilities, so that logits can be told of.

    Args:
        name: under which the value is reported.
    """

    direction: str | None = None
    probabilities: bool = False

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(
                f"{type(self).__name__}(name={name!r}): the name must be a non-empty string."
            )
        self.name = name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The sums of one batch: `y_true`, `y_pred` `[b, ...]`, `sample_weight` `[b]` or None."""
        raise NotImplementedError(f"{type(self).__name__} must say how to sum a batch in __call__")

    def value(self, total: Any, count: Any) -> np.ndarray:
        """Values of sums that are (total, count) pairs, elementwise: `[n]` for n steps, float64.

        Override it for another function of the two (a root, the total alone); override `result`
        for sums that are not a pair.
        """
        return divide_no_nan(total, count)

    def result(self, sums: Any) -> Any:
        """The value of added sums (NumPy, float64): a float, or an array of several values.

        Callbacks are told of the entries of an array `[n]` by the names `name_0`, `name_1`, ...;
        an array of more axes is in `History.history` and in what `evaluate` returns.
        """
        return float(self.value(*sums))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


class MeanMetric(Metric):
    """The weighted mean of a function of (y_true, y_pred).

    Args:
        fn: `fn(y_true, y_pred)` gives one number per element, `[b, ...]`.
        name: the reported name; the function's own when not given.
        direction: "max" or "min", where the better values are; None keeps the class's own.
    """

    def __init__(
        self, fn: Callable[[Any, Any], Any], name: str | None = None, direction: str | None = None
    ) -> None:
        super().__init__(name or str(getattr(fn, "__name__", type(fn).__name__)))
        if direction not in DIRECTIONS:
            raise ValueError(f"direction={direction!r} is not one of {DIRECTIONS}.")
        self.fn = fn
        if direction is not None:
            self.direction = direction

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Sums:
        """Sums of the function's values, weighted."""
        values = tf.convert_to_tensor(self.fn(y_true, y_pred))
        if values.shape.rank == 0:
            raise ValueError(
                f"metric {self.name!r} returned one number for the whole batch; return one value "
                "per example, [batch], so that batches of different sizes can be added exactly."
            )
        return Sums.of(values, sample_weight)


def divide_no_nan(total: Any, count: Any) -> np.ndarray:
    """`total / count` in float64, and 0 where nothing was counted."""
    total, count = np.asarray(total, np.float64), np.asarray(count, np.float64)
    shape = np.broadcast_shapes(total.shape, count.shape)
    return np.divide(total, count, out=np.zeros(shape), where=count != 0)
