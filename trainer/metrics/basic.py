"""The mean and the sum of anything: of a function of a batch, or of an entry of the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trainer.metrics.base import MeanMetric


class Mean(MeanMetric):
    """The weighted mean of a quantity, one number per element.

    Args:
        of: `fn(y_true, y_pred)` giving `[b, ...]`; or a string, the key of a model output that is
            a mapping: `Mean("kl")` is the mean of `y_pred["kl"]`.
        name: the reported name; the function's or the key when not given.
        direction: "max" or "min" if one of them is better, so that callbacks can monitor it.

    Example:
        >>> metric = Mean(lambda y_true, y_pred: y_pred, name="output")
        >>> metric.result(metric(None, [1.0, 3.0, 5.0], [1.0, 1.0, 2.0]))
        3.5
    """

    def __init__(
        self,
        of: Callable[[Any, Any], Any] | str,
        name: str | None = None,
        *,
        direction: str | None = None,
    ) -> None:
        if isinstance(of, str):
            super().__init__(entry(of), name or of, direction)
        elif callable(of):
            super().__init__(of, name, direction)
        else:
            raise TypeError(
                f"{type(self).__name__}(of={of!r}): `of` must be a function fn(y_true, y_pred) or "
                "the name of an entry of the model's output."
            )


class Sum(Mean):
    """The weighted sum of a quantity; arguments as in `Mean`."""

    def value(self, total: Any, count: Any) -> np.ndarray:
        """The total alone."""
        return np.asarray(total, np.float64)


def entry(key: str) -> Callable[[Any, Any], Any]:
    """A function of (y_true, y_pred) that gives `y_pred[key]`."""

    def pick(y_true: Any, y_pred: Any) -> Any:
        if not isinstance(y_pred, Mapping) or key not in y_pred:
            have = sorted(y_pred) if isinstance(y_pred, Mapping) else type(y_pred).__name__
            raise ValueError(
                f"a metric of the entry {key!r} needs a model whose output is a mapping with that "
                f"key; the output is {have}."
            )
        return y_pred[key]

    return pick
