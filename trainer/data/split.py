"""The validation split: the last part of the arrays, before any shuffling."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import tensorflow as tf

from trainer.data.checks import check_lengths
from trainer.data.convert import to_arrays


def split(x: Any, y: Any, sample_weight: Any, validation_split: float) -> tuple[Any, Any]:
    """Splits off the last part of the arrays for validation, as Keras does: at floor(n (1 - s)).

    Args:
        x: nest of arrays.
        y: nest of arrays or None.
        sample_weight: nest of arrays or None; split with the rest.
        validation_split: the share of the examples to validate on, in (0, 1).

    Returns:
        `(x, y, sample_weight)` to train on and the same to validate on: views, no copies.

    Raises:
        TypeError: the share is no number, or x is no nest of arrays (a stream cannot be split).
        ValueError: the share is outside of (0, 1) or leaves one part without rows.
    """
    if isinstance(validation_split, bool) or not isinstance(validation_split, Real):
        raise TypeError(f"validation_split is {validation_split!r}; it must be a number in (0, 1).")
    if not 0 < validation_split < 1:
        raise ValueError(
            f"validation_split is {validation_split}; it must be in (0, 1), such as 0.2 for the "
            "last fifth of the examples, or 0.0 in fit for none."
        )
    if is_stream(x):
        raise TypeError(
            f"validation_split is {validation_split}, but x is a {type(x).__name__}, which cannot "
            "be split; only arrays can. Pass validation_data, for example dataset.take(n), and "
            "train on dataset.skip(n)."
        )
    named = {"x": x, "y": y, "sample_weight": sample_weight}
    parts = {k: None if v is None else to_arrays(v, k) for k, v in named.items()}
    n = check_lengths(parts)
    at = math.floor(n * (1.0 - validation_split))
    if at in (0, n):
        part = "training" if at == 0 else "validation"
        raise ValueError(
            f"validation_split is {validation_split} and there are {n} examples, which leaves none "
            f"for {part}; use another share, more examples, or pass validation_data."
        )
    train = tuple(_rows(part, slice(0, at)) for part in parts.values())
    return train, tuple(_rows(part, slice(at, n)) for part in parts.values())


def is_stream(x: Any) -> bool:
    """Whether x is read as a stream of batches rather than as arrays."""
    if isinstance(x, tf.data.Dataset) or is_indexed(x):
        return True
    if isinstance(x, dict | tuple | list | str | bytes) or tf.is_tensor(x):
        return False
    if hasattr(x, "__array__") or hasattr(x, "to_numpy") or hasattr(x, "shape"):
        return False
    return callable(x) or hasattr(x, "__next__") or hasattr(x, "__iter__")


def is_indexed(x: Any) -> bool:
    """Whether x gives batches by index, as a `keras.utils.PyDataset` does."""
    sized = hasattr(x, "__len__") or hasattr(x, "num_batches")
    return sized and hasattr(x, "__getitem__") and hasattr(x, "on_epoch_end")


def _rows(tree: Any, rows: slice) -> Any:
    return None if tree is None else tf.nest.map_structure(lambda a: a[rows], tree)
