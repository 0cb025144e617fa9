"""Arrays: on the device, gathered in the compiled loop; or too large for that, fed by chunks."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.chunks import Chunk, ChunkReader, Cursor, Slab, fetch_step
from trainer.data.convert import final_dtype, names_of, place, spec_of
from trainer.data.exactness import Exactness
from trainer.data.fingerprint import spec_lines
from trainer.data.hashes import of_rows
from trainer.data.segment import Fetch, Segment
from trainer.random import permutation

Spans = Callable[[int], Sequence[tuple[int, int]]]  # rows of a batch -> (begin, end) of some


class ResidentArrays:
    """Arrays on the device, read by index.

    Shuffled, a segment's args are `(order, start, arrays)`: `order` `[steps, rows]` int32 holds one
    row of indices a step. In order, the arrays themselves are laid out as `[steps, rows, ...]` and
    args are `(arrays, start)`: reading a step is one contiguous copy, which under XLA on CPU took
    12 us against 16 us for a gather of 32 float32 rows of 784, and 9 against 15 for uint8.

    Args:
        batch: nest of arrays or tensors, the first axis of each `n`.
        n: number of examples.
        rows: rows of a step.
        shuffle: each epoch in an order of its own, `permutation(seed, epoch, n)`.
        seed: the seed of the orders.
    """

    infinite: bool = False
    once: bool = False

    def __init__(self, batch: Any, n: int, rows: int, *, shuffle: bool, seed: int) -> None:
        self.element_spec = tf.nest.map_structure(spec_of, batch)
        self.steps_per_epoch: int | None = -(-n // rows)
        self.fetch: Fetch = _fetch_shuffled if shuffle else fetch_step
        self._n, self._rows = n, rows
        self._seed = seed if shuffle else None
        self._fingerprint: dict[str, Any] | None = None
        self._full, self._rest = divmod(n, rows)
        if shuffle:
            self._whole = tf.nest.map_structure(place, batch)
        else:
            head = slice(0, self._full * rows)
            rest = slice(self._full * rows, n)
            self._head = tf.nest.map_structure(
                lambda a: _in_steps(place(a, head), self._full, rows), batch
            )
            self._tail = tf.nest.map_structure(
                lambda a: _in_steps(place(a, rest), 1 if self._rest else 0, self._rest), batch
            )

    def example(self, rows: int) -> Any:
        """The first `rows` rows (fewer if there are fewer), as eager tensors."""
        if self._seed is not None:
            return tf.nest.map_structure(lambda a: a[:rows], self._whole)
        if rows > self._rows or not self._full:
            return tf.nest.map_structure(
                lambda h, t: tf.concat([_flat(h), _flat(t)], 0)[:rows], self._head, self._tail
            )
        return tf.nest.map_structure(lambda h: h[0, :rows], self._head)

    def reader(self, epoch: int, skip: int = 0, taken: int = 0) -> _ResidentReader:
        """Reads epoch `epoch`, from its step `skip` on."""
        cut = self._full * self._rows
        if self._seed is None:
            parts: tuple[Any, Any] = (self._head,), (self._tail,)
            return _ResidentReader(parts, self._full, self._rows, self._rest, skip)
        order = permutation(self._seed, epoch, self._n)
        head = tf.constant(order[:cut].reshape(self._full, self._rows))
        tail = tf.constant(order[cut:].reshape(1, self._rest))
        parts = (head, self._whole), (tail, self._whole)
        return _ResidentReader(parts, self._full, self._rows, self._rest, skip)

    def exactness(self) -> Exactness:
        """Exact: a batch is a function of (seed, epoch, step)."""
        return _EXACT

    def fingerprint(self) -> dict[str, Any]:
        """Numbers, order and sampled values (see `hashes.of_rows`); as of `LargeArrays`."""
        if self._fingerprint is None:
            if self._seed is not None:
                leaves = [[leaf] for leaf in tf.nest.flatten(self._whole)]
            else:
                parts = tf.nest.flatten(self._head), tf.nest.flatten(self._tail)
                leaves = [[_flat(leaf) for leaf in pair] for pair in zip(*parts, strict=True)]
            self._fingerprint = _fingerprint(
                self, self._n, self._rows, self._seed, lambda at, *rows: _slice(leaves[at], *rows)
            )
        return self._fingerprint

    def close(self) -> None:
        """Nothing to end: the arrays go when the source goes."""


class LargeArrays:
    """Arrays that stay on the host, gathered by chunks on a thread; the order is the same.

    Args:
        batch: nest of arrays or tensors, the first axis of each `n`; memory-mapped ones stay
            mapped.
        n: number of examples.
        rows: rows of a step.
        shuffle: each epoch in an order of its own, `permutation(seed, epoch, n)`.
        seed: the seed of the orders.
        own: gives the spans of rows that are wanted of a batch of so many rows; the others are
            never read, and what stands in their place is anything.
    """

    infinite: bool = False
    once: bool = False

    def __init__(
        self,
        batch: Any,
        n: int,
        rows: int,
        *,
        shuffle: bool,
        seed: int,
        own: Spans | None = None,
    ) -> None:
        self.element_spec = tf.nest.map_structure(spec_of, batch)
        self.steps_per_epoch: int | None = -(-n // rows)
        self._own: Spans = own or _all_rows
        self.fetch: Fetch = fetch_step
        self._batch = tf.nest.map_structure(
            lambda a: np.asarray(a) if tf.is_tensor(a) else a, batch
        )
        self._n, self._rows = n, rows
        self._seed = seed if shuffle else None
        self._fingerprint: dict[str, Any] | None = None
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()

    def example(self, rows: int) -> Any:
        """The first `rows` rows (fewer if there are fewer), as eager tensors."""
        return tf.nest.map_structure(lambda a: place(a, slice(0, rows)), self._batch)

    def reader(self, epoch: int, skip: int = 0, taken: int = 0) -> ChunkReader:
        """Reads epoch `epoch`, from its step `skip` on."""
        order = None if self._seed is None else permutation(self._seed, epoch, self._n)
        batch, n, rows, own = self._batch, self._n, self._rows, self._own
        cursor = Cursor(lambda hungry: _gathered(batch, order, n, rows, skip, own), "x")
        self._cursors.add(cursor)
        return ChunkReader(cursor, owned=True)

    def exactness(self) -> Exactness:
        """Exact: a batch is a function of (seed, epoch, step)."""
        return _EXACT

    def fingerprint(self) -> dict[str, Any]:
        """Numbers, order and sampled values (see `hashes.of_rows`); as of `ResidentArrays`."""
        if self._fingerprint is None:
            leaves = tf.nest.flatten(self._batch)
            self._fingerprint = _fingerprint(
                self,
                self._n,
                self._rows,
                self._seed,
                lambda at, start, stop: place(leaves[at], slice(start, stop)),
            )
        return self._fingerprint

    def close(self) -> None:
        """Ends the threads; harmless when repeated."""
        for cursor in list(self._cursors):
            cursor.close()


_EXACT = Exactness(
    "exact", "arrays are read in an order that is a function of seed and epoch alone."
)


def _fingerprint(
    source: ResidentArrays | LargeArrays,
    n: int,
    rows: int,
    seed: int | None,
    read: Callable[[int, int, int], Any],
) -> dict[str, Any]:
    """The same for arrays on the device and on the host: their batches are the same."""
    hashes = of_rows(source.element_spec, n, read)
    return {
        "kind": "arrays",
        "spec": spec_lines(source.element_spec),
        "rows": n,
        "batch size": rows,
        "batches": source.steps_per_epoch,
        "shuffle": seed is not None,
        "seed": seed,  # None where it decides nothing
        "values": dict(zip(names_of(source.element_spec, "batch"), hashes, strict=True)),
    }


def _slice(parts: list[tf.Tensor], start: int, stop: int) -> np.ndarray:
    """Rows of an array that lies in consecutive parts."""
    found, first = [], 0
    for part in parts:
        size = int(part.shape[0])
        found.append(part[max(start - first, 0) : max(stop - first, 0)].numpy())
        first += size
    return found[0] if len(found) == 1 else np.concatenate(found)


class _ResidentReader:
    def __init__(self, parts: tuple[Any, Any], full: int, rows: int, rest: int, skip: int) -> None:
        self._parts = parts
        self._full, self._rows, self._rest = full, rows, rest
        self._at = skip

    def take(self, limit: int) -> Segment | None:
        at, total = self._at, self._full + bool(self._rest)
        if limit < 1:
            raise ValueError(f"limit is {limit}; a segment has at least 1 step.")
        if at >= total or self._parts is None:
            return None
        if at < self._full:
            steps, rows = min(limit, self._full - at), self._rows
            part, start = self._parts[0], at
        else:
            steps, rows = 1, self._rest
            part, start = self._parts[1], 0
        self._at = at + steps
        args = (part[0], tf.constant(start, tf.int32), *part[1:])
        return Segment(args, steps, rows, self._at == total)

    def close(self) -> None:
        self._parts = None  # type: ignore[assignment]


def _fetch_shuffled(args: Any, i: Any, rows: int) -> Any:
    """Step `i`: the rows that the order's row `start + i` names."""
    order, start, arrays = args
    index = tf.ensure_shape(tf.gather(order, start + i), [rows])
    return tf.nest.map_structure(lambda a: tf.gather(a, index), arrays)


def _in_steps(array: tf.Tensor, steps: int, rows: int) -> tf.Tensor:
    return tf.reshape(array, [steps, rows, *array.shape[1:]])


def _flat(array: tf.Tensor) -> tf.Tensor:
    return tf.reshape(array, [array.shape[0] * array.shape[1], *array.shape[2:]])


_FIRST_STEPS = 8  # of the first chunk, so that training starts soon; each next one is four times it


def _all_rows(rows: int) -> Sequence[tuple[int, int]]:
    return [(0, rows)]


def _gathered(
    batch: Any, order: np.ndarray | None, n: int, rows: int, skip: int, own: Spans
) -> Iterator[Chunk]:
    """The chunks of one epoch of arrays."""
    leaves = tf.nest.flatten(batch)
    dtypes = [final_dtype(leaf) for leaf in leaves]
    full, rest = divmod(n, rows)
    at, most = skip, _FIRST_STEPS
    while at < full:
        slab = Slab([(rows, *leaf.shape[1:]) for leaf in leaves], dtypes, full)
        slab.steps = min(most, slab.capacity, full - at)
        _gather_own(slab, leaves, order, at * rows, rows, own(rows))
        at, most = at + slab.steps, 4 * most
        yield slab.finish(batch, last=at == full and not rest)
    if rest and at == full:
        slab = Slab([(rest, *leaf.shape[1:]) for leaf in leaves], dtypes, 1)
        slab.steps = 1
        _gather_own(slab, leaves, order, full * rows, rest, own(rest))
        yield slab.finish(batch, last=True)


def _gather_own(
    slab: Slab,
    leaves: list,
    order: np.ndarray | None,
    start: int,
    rows: int,
    spans: Sequence[tuple[int, int]],
) -> None:
    """Copies the spans of each step's rows into a slab whose first step begins at `start`."""
    steps = slab.steps
    if list(spans) == [(0, rows)]:  # of all steps at once
        wide = [b[:steps].reshape(steps * rows, *b.shape[2:]) for b in slab.buffers]
        _gather(wide, leaves, order, start)
        return
    for step in range(steps):
        for begin, end in spans:
            parts = [buffer[step, begin:end] for buffer in slab.buffers]
            _gather(parts, leaves, order, start + step * rows + begin)


def _gather(outs: list, leaves: list, order: np.ndarray | None, start: int) -> None:
    """Copies the rows that stand from `start` on in the order."""
    for out, leaf in zip(outs, leaves, strict=True):
        stop = start + len(out)
        if order is None:
            np.copyto(out, leaf[start:stop], casting="unsafe")
        elif leaf.dtype == out.dtype:  # "clip" as the default mode goes through a buffer
            np.take(leaf, order[start:stop], axis=0, out=out, mode="clip")
        else:
            np.copyto(out, leaf[order[start:stop]], casting="unsafe")


def default_budget() -> int:
    """Bytes of arrays that are kept on the device: a quarter of the free memory, at most 2 GiB."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = next(line for line in lines if line.startswith("MemAvailable"))
        free = int(found.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):  # not Linux: half of what there is, as a guess
        try:
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        except (AttributeError, OSError, ValueError):
            free = 8 << 30
    return min(2 << 30, free // 4)
