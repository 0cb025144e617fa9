"""The doctor's checks of the data: finite, in another order each epoch, and fast enough."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.convert import names_of
from trainer.data.segment import Source
from trainer.inspect.findings import Finding

_LOOKED_AT = 4  # batches of each epoch that are compared
_DRAW_SECONDS = 1.0
_ENOUGH_SECONDS = 0.2
_NOTHING = 5e-4  # seconds a step that are not worth a word
_MOST_DRAWN = 64


def draw(source: Source, epoch: int = 0) -> Iterator[Any]:
    """The batches of an epoch, one after the other, as eager tensors."""
    reader = source.reader(epoch)
    try:
        while (segment := reader.take(1)) is not None:
            yield source.fetch(segment.args, tf.constant(0, tf.int32), segment.rows)
            if segment.last:
                return
    finally:
        reader.close()


def finite(source: Source) -> Finding:
    """Whether the first batches hold numbers only."""
    for at, batch in enumerate(itertools.islice(draw(source), _LOOKED_AT)):
        names = names_of(source.element_spec, "batch")
        for name, leaf in zip(names, tf.nest.flatten(batch), strict=True):
            if not leaf.dtype.is_floating:
                continue
            bad = ~np.isfinite(leaf.numpy().astype(np.float32))
            if bad.any():
                rows = np.unique(np.argwhere(bad)[:, 0]) if bad.ndim else [0]
                return Finding(
                    "finite data",
                    "fail",
                    f"{name} holds {int(bad.sum())} values that are NaN or infinite, in row "
                    f"{rows[0]} of batch {at} first",
                    "drop or impute such rows before training; one makes all weights NaN",
                )
    return Finding("finite data", "pass", f"the first {at + 1} batches hold numbers only")


def order(source: Source) -> Finding:
    """Whether epochs come in different orders."""
    name = "shuffle"
    if source.once:
        return Finding(name, "skip", "the data is one long pass, without epochs of its own")
    first, second = (list(itertools.islice(draw(source, e), _LOOKED_AT)) for e in (0, 1))
    leaves = zip(
        [x for batch in first for x in tf.nest.flatten(batch)],
        [x for batch in second for x in tf.nest.flatten(batch)],
        strict=False,
    )
    if any(a.shape != b.shape or not np.array_equal(a.numpy(), b.numpy()) for a, b in leaves):
        return Finding(name, "pass", "two epochs begin with other batches")
    return Finding(
        name,
        "warn",
        f"epochs 1 and 2 begin with the very same {len(first)} batches, in the same order",
        "shuffle=True for arrays; for a dataset shuffle(n, seed=1) without "
        "reshuffle_each_iteration=False, before batch()",
    )


def pace(source: Source, step_seconds: float | None) -> Finding:
    """Whether batches come as fast as steps are made."""
    name = "input keeps up"
    if step_seconds is None:
        return Finding(name, "skip", "the time of a step is not known, as none was trained")
    if type(source).__name__ == "ResidentArrays":
        return Finding(name, "pass", "arrays on the device: read inside the compiled step")
    enough = 1.2 * step_seconds + _NOTHING
    seconds = _read_seconds(source)
    if seconds > enough:  # once more: another process may have been at work
        seconds = min(seconds, _read_seconds(source))
    said = f"a batch takes {_ms(seconds)} to read and a step {_ms(step_seconds)}"
    if seconds <= enough:
        return Finding(name, "pass", said)
    return Finding(
        name,
        "warn",
        f"{said}: training waits for data {1 - step_seconds / seconds:.0%} of the time",
        "map(..., num_parallel_calls=tf.data.AUTOTUNE), cache() after decoding, prefetch(2); or "
        "pass arrays",
    )


def _read_seconds(source: Source) -> float:
    """How long a batch takes to read when nothing else is done; 0 if it is too little to tell."""
    reader, begun = source.reader(0), time.perf_counter()
    steps, since = 0, begun
    try:
        while (segment := reader.take(_MOST_DRAWN)) is not None:
            if since == begun:  # the first: files are opened, threads started
                since = time.perf_counter()
                first = (since - begun) / segment.steps
            else:
                steps += segment.steps
            if segment.last or time.perf_counter() - since > _DRAW_SECONDS:
                break
        seconds = time.perf_counter() - since
        if not steps:
            return first
        return seconds / steps if seconds > _ENOUGH_SECONDS else 0.0
    finally:
        reader.close()


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"
