"""Chunks: steps stacked into tensors of a fixed capacity, made on a thread and read by segments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.data.convert import aligned_empty, as_tensor, final_dtype
from trainer.data.feed import Feed
from trainer.data.segment import Segment

CHUNK_BYTES = 16 << 20  # large enough to hide a call, small enough to be soon there
MOST_STEPS = 512
_PATIENCE = 0.005  # seconds; a chunk costs some tenths of a millisecond beside its steps

Run = list[np.ndarray]  # the flat leaves of consecutive batches of one shape, each [m, rows, ...]


class Chunk(NamedTuple):
    """Steps of one shape: each leaf is `[capacity, rows, ...]`, its first `steps` are real."""

    stacked: Any
    steps: int
    rows: int
    last: bool


def fetch_step(args: Any, i: Any, rows: int) -> Any:
    """Step `i` of tensors laid out by steps: args are `(stacked, start)`.

    A gather: under XLA the begin of a slice would have to be a constant, and each new one compiled.
    """
    stacked, start = args
    return tf.nest.map_structure(lambda a: tf.gather(a, start + i), stacked)


def capacity_of(step_bytes: int, most: int | None = None) -> int:
    """How many steps a chunk holds: `CHUNK_BYTES` of them, at least 1, at most `MOST_STEPS`."""
    steps = min(MOST_STEPS, CHUNK_BYTES // max(step_bytes, 1))
    return max(1, steps if most is None else min(steps, most))


class Slab:
    """A chunk being filled: buffers of the full capacity, whose unread rest is never touched.

    Args:
        shapes: of one step, for each leaf: `[rows, ...]`.
        dtypes: of each leaf.
        most: steps the source has at all, if known: no larger capacity is needed.
    """

    def __init__(
        self, shapes: Sequence[tuple], dtypes: Sequence[tf.DType], most: int | None = None
    ) -> None:
        self.shapes = shapes
        kinds = [np.dtype(dtype.as_numpy_dtype) for dtype in dtypes]
        sizes = (int(np.prod(s)) * max(d.itemsize, 1) for s, d in zip(shapes, kinds, strict=True))
        self.capacity = capacity_of(sum(sizes), most)
        self.buffers = [
            aligned_empty((self.capacity, *shape), kind)
            for shape, kind in zip(shapes, kinds, strict=True)
        ]
        self.steps = 0
        self._began = time.monotonic()

    def is_due(self, first: bool) -> bool:
        """Whether a waiting reader gets it as it is: the first at once, others not too soon."""
        return first or time.monotonic() - self._began > _PATIENCE

    def add(self, run: Run, start: int) -> int:
        """Copies steps of a run from `start` on, as many as have room; returns how many."""
        count = min(len(run[0]) - start, self.capacity - self.steps)
        for buffer, leaf in zip(self.buffers, run, strict=True):
            np.copyto(
                buffer[self.steps : self.steps + count],
                leaf[start : start + count],
                casting="unsafe",
            )
        self.steps += count
        return count

    def finish(self, structure: Any, last: bool) -> Chunk:
        """Hands the buffers over to TensorFlow."""
        leaves = [as_tensor(buffer) for buffer in self.buffers]
        rows = int(self.shapes[0][0])
        return Chunk(tf.nest.pack_sequence_as(structure, leaves), self.steps, rows, last)


def stack(
    runs: Iterable[Run], spec: Any, hungry: Callable[[], bool], most: int | None = None
) -> Iterator[Chunk]:
    """Stacks runs into chunks.

    A chunk is given when the run after it is there, since it must know whether it is the last:
    full, or before a run of another shape, or soon after the reader waits.

    Args:
        runs: the batches.
        spec: nest of `tf.TensorSpec`: the structure and the dtypes that every run must have.
        hungry: whether the reader waits.
        most: steps the source has at all, if known.
    """
    dtypes = [leaf.dtype for leaf in tf.nest.flatten(spec)]
    first = True
    slab: Slab | None = None
    failure: Exception | None = None
    runs = iter(runs)
    while True:
        try:
            run = next(runs, None)
        except Exception as error:  # what came before it is still given
            run, failure = None, error
        if run is None:
            break
        shapes = [leaf.shape[1:] for leaf in run]
        if slab is not None and (slab.shapes != shapes or (hungry() and slab.is_due(first))):
            first = False
            yield slab.finish(spec, last=False)
            slab = None
        at = 0
        while at < len(run[0]):
            if slab is None or slab.steps == slab.capacity:
                if slab is not None:
                    yield slab.finish(spec, last=False)
                slab = Slab(shapes, dtypes, most)
            at += slab.add(run, at)
        del run
    if slab is not None:
        yield slab.finish(spec, last=failure is None)
    if failure is not None:
        raise failure


class Cursor:
    """A place in a feed of chunks.

    Args:
        make: makes the chunks, on the feed's thread, given `hungry()`.
        argument: the data's name in messages.
    """

    def __init__(
        self, make: Callable[[Callable[[], bool]], Iterator[Chunk]], argument: str
    ) -> None:
        self._feed = Feed(make)
        self._chunk: Chunk | None = None
        self._argument = argument
        self._at = 0
        self.taken = 0
        self.ended = False

    def take(self, limit: int) -> Segment | None:
        """At most `limit` steps of the chunk at hand, or of the next; None at the end.

        Raises:
            RuntimeError: the data failed (ValueError or TypeError where it failed with such); the
                original error is its cause.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}; a segment has at least 1 step.")
        if self._chunk is None and not self.ended:
            self._chunk, self._at = self._next(), 0
        chunk = self._chunk
        if chunk is None:
            self.ended = True
            return None
        steps = min(limit, chunk.steps - self._at)
        start, self._at = self._at, self._at + steps
        self.taken += steps
        done = self._at == chunk.steps
        if done:
            self._chunk = None
            self.ended = chunk.last
        args = (chunk.stacked, tf.constant(start, tf.int32))
        return Segment(args, steps, chunk.rows, done and chunk.last)

    def close(self) -> None:
        """Ends the thread and drops what it made."""
        self._feed.close()
        self._chunk, self.ended = None, True

    def _next(self) -> Chunk | None:
        try:
            return self._feed.get()
        except Exception as error:
            self.close()
            where = f"Reading {self._argument} failed after {self.taken} steps of this pass: "
            if type(error) in (ValueError, TypeError):
                raise type(error)(f"{where}{error}") from error
            raise RuntimeError(f"{where}{type(error).__name__}: {error}") from error


class ChunkReader:
    """Reads a cursor, which it owns or only borrows (a stream that outlives the epoch)."""

    def __init__(self, cursor: Cursor, *, owned: bool) -> None:
        self._cursor: Cursor | None = cursor
        self._owned = owned

    def take(self, limit: int) -> Segment | None:
        """At most `limit` steps; None at the end."""
        return None if self._cursor is None else self._cursor.take(limit)

    def close(self) -> None:
        """Ends the pass; a borrowed cursor stays where it is, for the next epoch."""
        if self._cursor is not None and self._owned:
            self._cursor.close()
        self._cursor = None


def run_of(leaves: Sequence[Any]) -> Run:
    """One batch as a run."""
    return [np.asarray(leaf)[np.newaxis] for leaf in leaves]


def check_dtypes(run: Sequence[Any], spec: Any, names: Sequence[str], batch: int) -> None:
    """Every batch must have the dtypes of the first.

    Raises:
        ValueError: it has not.
    """
    for leaf, wanted, name in zip(run, tf.nest.flatten(spec), names, strict=True):
        have = final_dtype(leaf)
        if have != wanted.dtype:
            raise ValueError(
                f"{name} of batch {batch} has dtype {have.name}, and {wanted.dtype.name} before; "
                "all batches must have the same. Convert it where the batch is made."
            )
