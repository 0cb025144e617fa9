"""Opens whatever a user passes as data, as one kind of source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from trainer.data.arrays import LargeArrays, ResidentArrays, default_budget
from trainer.data.checks import (
    check_batch_size,
    check_lengths,
    check_targets,
    check_weight_shape,
    check_weights,
    refuse,
)
from trainer.data.convert import final_bytes, to_arrays
from trainer.data.segment import Reader, Segment, Source
from trainer.data.split import is_stream
from trainer.data.streams import open_stream
from trainer.data.weights import ClassWeight

__all__ = ["open_source", "Segment", "Source", "Reader"]

Own = Callable[[int, int], Sequence[tuple[int, int]]]


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
    own: Own | None = None,
    argument: str = "x",
) -> Source:
    """Opens data for reading in steps.

    Arrays give batches `x`, `(x, y)` or `(x, y, sample_weight)`, each of which may be a nest; what
    is None is left out. float64 becomes float32, other dtypes stay. Streams give the batches they
    hold: `tf.data.Dataset`, generators, iterables, functions that make one of these for each epoch,
    and objects that give batches by index as `keras.utils.PyDataset` does.

    Args:
        x: arrays `[n, ...]` (NumPy, tensors, data frames, lists of numbers, or a dict, tuple or
            list of these) or a stream.
        y: arrays `[n, ...]` or None; None for a stream.
        sample_weight: arrays `[n]`, or None; None for a stream. With class_weight a single one.
        batch_size: rows of a batch; None means 32 for arrays, and must be None for a stream.
        shuffle: arrays and indexed batches are read in another order each epoch, which is a
            function of (seed, epoch); other streams have an order of their own.
        seed: the seed of these orders.
        join: consecutive batches that make one step, `join * batch_size` rows for arrays.
        class_weight: dict of class to weight, or None: each example's weight is multiplied by that
            of its class. y must be one array of labels `[n]`, `[n, 1]` or one-hot `[n, k]`.
        budget_bytes: arrays of no more bytes than this are copied to the device once, larger ones
            fed by chunks. None means a quarter of the free memory, at most 2 GiB. Tensors that are
            there already do not count.
        own: `own(rows, full)` gives the spans of rows that this process wants of a batch of so
            many rows, where full ones have `full`: others of large arrays are not read.
        argument: the name of x in messages.

    Raises:
        TypeError: an argument of a kind that is not allowed.
        ValueError: arrays of different lengths, without rows, NaN in y or in the weights, or an
            argument that a stream does not take.
    """
    join = check_batch_size(join, "join")
    if x is None:
        raise ValueError(f"{argument} is None; pass arrays or a stream of batches.")
    if is_stream(x):
        kind = "a dataset" if isinstance(x, tf.data.Dataset) else f"a {type(x).__name__}"
        way = f"Let {argument} give batches (x, y) or (x, y, sample_weight)."
        refuse("y", y, argument, kind, way)
        refuse("sample_weight", sample_weight, argument, kind, way)
        way = f"{argument} makes its own batches: set their size there, as by dataset.batch(32)."
        refuse("batch_size", batch_size, argument, kind, way)
        return open_stream(
            x, shuffle=shuffle, seed=seed, join=join, class_weight=class_weight, argument=argument
        )
    rows = check_batch_size(32 if batch_size is None else batch_size) * join
    batch, n = _arrays(x, y, sample_weight, class_weight, argument)
    size = sum(final_bytes(leaf) for leaf in tf.nest.flatten(batch))
    budget = default_budget() if budget_bytes is None else budget_bytes
    if size <= budget:
        return ResidentArrays(batch, n, rows, shuffle=shuffle, seed=seed)
    spans = None if own is None else (lambda some: own(some, rows))
    return LargeArrays(batch, n, rows, shuffle=shuffle, seed=seed, own=spans)


def open_validation(
    data: Any, *, batch_size: int | None, seed: int, pairs: bool, own: Own | None = None
) -> Source | None:
    """Opens what is passed as `validation_data`; None for None.

    Args:
        data: `(x, y)`, `(x, y, sample_weight)`, a stream of batches, or other arrays.
        batch_size: rows of a batch, for arrays.
        seed: as in `open_source`.
        pairs: whether arrays must come with targets.
        own: as in `open_source`.

    Raises:
        ValueError: it has no targets, or never ends.
    """
    how: dict[str, Any] = {"seed": seed, "own": own, "argument": "validation_data"}
    if data is None:
        return None
    if is_stream(data):
        source = open_source(data, **how)
    elif isinstance(data, (tuple, list)) and len(data) in (2, 3):
        source = open_source(*data, batch_size=batch_size, **how)
    elif pairs:
        raise ValueError(
            f"validation_data is a {type(data).__name__}; pass (x, y), (x, y, sample_weight) "
            "or a stream of such batches."
        )
    else:
        source = open_source(data, batch_size=batch_size, **how)
    if source.infinite:
        raise ValueError("validation_data never ends; pass validation_data.take(n).")
    return source


def targets_of(data: Any) -> Any:
    """The y of `(x, y)` or `(x, y, sample_weight)` passed as `validation_data`, else None."""
    return data[1] if isinstance(data, (tuple, list)) and len(data) in (2, 3) else None


def _arrays(
    x: Any, y: Any, sample_weight: Any, class_weight: Any, argument: str
) -> tuple[Any, int]:
    """The checked batch nest of whole arrays, and their number of rows."""
    if y is None and (sample_weight is not None or class_weight is not None):
        given = "sample_weight" if sample_weight is not None else "class_weight"
        raise ValueError(f"{given} is given and y is None; weights weigh targets, so pass y too.")
    inputs, targets, weights = (argument, "y", "sample_weight")
    if argument == "validation_data" and y is not None:
        inputs, targets, weights = (f"{argument}[{i}]" for i in range(3))
    named = {inputs: x, targets: y, weights: sample_weight}
    parts = {name: to_arrays(v, name) for name, v in named.items() if v is not None}
    n = check_lengths(parts)
    if y is not None:
        check_targets(parts[targets], targets)
    if sample_weight is not None:
        check_weights(parts[weights], weights)
        check_weight_shape(parts[weights], parts[targets], weights)
    if class_weight is not None:
        by_class = ClassWeight(class_weight)
        parts[weights] = by_class.apply(parts[targets], parts.get(weights))
    return (parts[inputs] if len(parts) == 1 else tuple(parts.values())), n
