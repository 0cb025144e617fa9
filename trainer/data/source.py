"""Opens whatever a user passes as data, as one kind of source."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from trainer.data.arrays import ResidentArrays
from trainer.data.checks import (
    check_batch_size,
    check_lengths,
    check_targets,
    check_weight_shape,
    check_weights,
)
from trainer.data.convert import final_bytes, to_arrays
from trainer.data.segment import Reader, Segment, Source
from trainer.data.split import is_stream

__all__ = ["open_source", "Segment", "Source", "Reader"]


def open_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
    join: int = 1,
    class_weight: Any = None,
    budget_bytes: int | None = None,
    argument: str = "x",
) -> Source:
    """Opens data for reading in steps."""
    join = check_batch_size(join)
    if is_stream(x):
        raise NotImplementedError("streams are on their way")
    rows = check_batch_size(32 if batch_size is None else batch_size) * join
    named = {argument: x, "y": y, "sample_weight": sample_weight}
    parts = {k: to_arrays(v, k) for k, v in named.items() if v is not None}
    n = check_lengths(parts)
    if y is not None:
        check_targets(parts["y"])
    batch: Any = parts[argument] if len(parts) == 1 else tuple(parts.values())
    return ResidentArrays(batch, n, rows, shuffle=shuffle, seed=seed)
