"""Hashes of what arrays hold: of all of it, or of blocks of rows where that would take long."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

READ_BYTES = 8 << 20  # of large arrays: about 10 ms
BLOCKS = 64
_STRING_BYTES = 32  # of one string, guessed


def of_arrays(arrays: Iterable[Any]) -> str:
    """A hash of arrays: dtypes, shapes and all values."""
    state = hashlib.sha256()
    for array in arrays:
        _update(state, np.asarray(array))
    return _text(state)


def of_rows(spec: Any, n: int, rows: Callable[[int, int, int], Any]) -> list[str]:
    """A hash of each array of `n` rows: of dtype, shape, and blocks of its rows.

    At most about `READ_BYTES` are read of all arrays together. Small ones (labels, weights) have
    the first claim and are read whole; of a large one, `BLOCKS` blocks of rows that lie evenly
    spread, the first and the last row among them. So a change between the blocks goes unseen: of
    200 MB, one row in 25 is read. Other data, another preprocessing, another order of the rows is
    seen.

    Args:
        spec: nest of `tf.TensorSpec` of a batch.
        n: how many rows there are.
        rows: `rows(leaf, start, stop)` gives these rows of the leaf of that number.
    """
    leaves = tf.nest.flatten(spec)
    sizes = [
        int(np.prod(leaf.shape[1:], dtype=np.int64)) * (leaf.dtype.size or _STRING_BYTES)
        for leaf in leaves
    ]
    found, left = [""] * len(leaves), READ_BYTES
    for k, at in enumerate(sorted(range(len(leaves)), key=lambda at: sizes[at])):
        state = hashlib.sha256(repr((n, leaves[at].shape, leaves[at].dtype)).encode())
        for start, stop in _blocks(n, sizes[at], left // (len(leaves) - k)):
            _update(state, np.asarray(rows(at, start, stop)))
            left -= (stop - start) * sizes[at]
        found[at] = _text(state)
    return found


def of_bytes(content: bytes) -> bytes:
    """A hash of the length and of blocks, as of rows of one byte."""
    state = hashlib.sha256(str(len(content)).encode())
    for start, stop in _blocks(len(content), 1, READ_BYTES):
        state.update(content[start:stop])
    return state.digest()


def short(content: bytes) -> str:
    """A short hash, to be read by people."""
    return _text(hashlib.sha256(content))[:12]


def _blocks(n: int, row_bytes: int, budget: int) -> list[tuple[int, int]]:
    """Blocks of rows of about `budget` bytes, the first and the last row among them."""
    if n * row_bytes <= budget:
        return [(0, n)]
    count = min(BLOCKS, max(2, budget // row_bytes), n)
    size = max(1, min(budget // (count * row_bytes), n // count))
    starts = np.linspace(0, n - size, count).astype(np.int64).tolist()
    return [(start, start + size) for start in starts]


def _update(state: Any, array: np.ndarray) -> None:
    if array.dtype.kind in "OUS":
        words = [v.encode() if isinstance(v, str) else bytes(v) for v in array.ravel().tolist()]
        state.update(repr(("string", array.shape, [len(word) for word in words])).encode())
        state.update(b"".join(words))
    else:
        state.update(repr((array.dtype.name, array.shape)).encode())
        state.update(np.ascontiguousarray(array).tobytes())


def _text(state: Any) -> str:
    return state.hexdigest()[:32]
