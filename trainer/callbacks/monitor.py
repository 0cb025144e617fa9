"""Which way a monitored value is better."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

MODES = ("auto", "min", "max")
NAMES = {  # of values that no metric object speaks for: whole words of the name
    "min": ("loss", "error", "mse", "mae", "rmse", "perplexity"),
    "max": ("accuracy", "acc", "auc", "precision", "recall", "f1"),
}


def direction(monitor: str, mode: str, monitored: Mapping[str, str], who: str) -> str:
    """`"min"` or `"max"`: what `mode` says, else the metric, else the words of the name.

    Args:
        monitor: the monitored name, with or without `val_`.
        mode: "auto", "min" or "max".
        monitored: metric name -> direction, as the run knows them.
        who: the callback, for the error.

    Raises:
        ValueError: `mode` is "auto" and nothing says which way is better.
    """
    if mode not in MODES:
        raise ValueError(f"{who}(mode={mode!r}): mode must be one of {MODES}.")
    if mode != "auto":
        return mode
    name = monitor.removeprefix("val_")
    known = monitored.get(monitor) or monitored.get(name)
    if known:
        return known
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    found = [way for way, names in NAMES.items() if words & set(names)]
    if len(found) == 1:
        return found[0]
    raise ValueError(
        f"{who}(monitor={monitor!r}): nothing says whether a higher or a lower value of it is "
        "better; pass mode='min' or mode='max'."
    )


def better(value: float, than: float | None, way: str, min_delta: float = 0.0) -> bool:
    """Whether a value improves on another by more than `min_delta`; NaN never does.

    Args:
        value: the new one.
        than: the best so far, None before the first.
        way: "min" or "max".
        min_delta: a change as small as this is no improvement.
    """
    if math.isnan(value):
        return False
    return than is None or (value - than if way == "max" else than - value) > min_delta
