"""Streams: datasets, iterables and indexed batches, pulled on a thread and fed by chunks."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from trainer.data.chunks import ChunkReader, Cursor, Run, fetch_step, stack
from trainer.data.datasets import DatasetPull
from trainer.data.exactness import Exactness
from trainer.data.fingerprint import spec_lines
from trainer.data.pulls import IndexedPull, IterablePull
from trainer.data.segment import Fetch
from trainer.data.split import is_indexed
from trainer.data.weights import ClassWeight


class Pull(Protocol):
    """Where a stream's batches come from.

    Attributes:
        spec: nest of `tf.TensorSpec` of a batch, first axis None.
        batches: how many a pass gives, None when it is not known.
        infinite: a pass never ends.
        once: there is only one pass, however many epochs read it.
    """

    spec: Any
    batches: int | None
    infinite: bool
    once: bool

    def first(self) -> Run:
        """The first run, which the next pass gives again."""

    def runs(self, epoch: int, start: int) -> Iterator[Run]:
        """A pass from batch `start` on."""

    def exactness(self) -> Exactness:
        """What resuming can promise."""

    def fingerprint(self) -> dict[str, Any]:
        """What the stream is, beside its spec, as JSON."""


def open_stream(
    x: Any,
    *,
    shuffle: bool = False,
    seed: int = 0,
    join: int = 1,
    class_weight: Any = None,
    argument: str = "x",
) -> StreamSource:
    """Opens a stream of batches.

    Args:
        x: a `tf.data.Dataset`, an object that gives batches by index as `keras.utils.PyDataset`
            does, an iterable or iterator of batches, or a function that makes one of these for
            each epoch.
        shuffle: the order in which indexed batches are read; other streams have their own.
        seed: the seed of that order.
        join: consecutive batches that make one step.
        class_weight: dict of class to weight, or None.
        argument: the data's name in messages.

    Raises:
        TypeError: x is none of these, or gives what is no array.
        ValueError: x is empty, or its batches do not fit together.
    """
    pull: Pull
    made = x
    if callable(x) and not (hasattr(x, "__iter__") or is_indexed(x)):
        made = x()
        if not (isinstance(made, tf.data.Dataset) or hasattr(made, "__iter__") or is_indexed(made)):
            raise TypeError(
                f"{argument} is a function that returned a {type(made).__name__}; it must return a "
                "dataset or an iterable of batches, a new one for each epoch."
            )
    remake = None if made is x else x
    if isinstance(made, tf.data.Dataset):
        pull = DatasetPull(made, remake, argument)
    elif is_indexed(made):
        pull = IndexedPull(made, remake, argument, seed=seed if shuffle else None)
    else:
        pull = IterablePull(made, remake, argument)
    return StreamSource(pull, join=join, class_weight=class_weight, argument=argument)


class StreamSource:
    """Steps from a stream.

    A finite stream that can be read again is pulled anew each epoch. One that ends never, or can be
    read only once, is pulled once: the reader of an epoch goes on where the last one stopped, and
    what lies ready in the queue is not lost. (A source opened later on the same iterator does not
    see what this one pulled ahead.)

    Args:
        pull: where the batches come from.
        join: consecutive batches that make one step.
        class_weight: dict of class to weight, or None.
        argument: the data's name in messages.
    """

    def __init__(self, pull: Pull, *, join: int, class_weight: Any, argument: str) -> None:
        self._pull, self._join, self._argument = pull, join, argument
        self._by_class = None if class_weight is None else ClassWeight(class_weight)
        self.element_spec = pull.spec
        if self._by_class is not None:
            self.element_spec = _spec_with_weights(pull.spec, argument)
        self.fetch: Fetch = fetch_step
        self.infinite: bool = pull.infinite
        self.once: bool = pull.once
        self.steps_per_epoch: int | None = (
            None if pull.batches is None else -(-pull.batches // join)
        )
        self._running: Cursor | None = None
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._first: list[np.ndarray] | None = None
        self._exactness: Exactness | None = None
        self._fingerprint: dict[str, Any] | None = None

    def example(self, rows: int) -> Any:
        """The first `rows` rows (fewer if the first batch has fewer), as eager tensors."""
        if self._first is None:
            run = next(self._weighed(iter([self._pull.first()])))
            self._first = [leaf[0] for leaf in run]
        specs = tf.nest.flatten(self.element_spec)
        leaves = [
            tf.constant(leaf[:rows], spec.dtype)
            if leaf.dtype.kind in "OUS"
            else tf.cast(tf.constant(leaf[:rows]), spec.dtype)
            for leaf, spec in zip(self._first, specs, strict=True)
        ]
        return tf.nest.pack_sequence_as(self.element_spec, leaves)

    def reader(self, epoch: int, skip: int = 0, taken: int = 0) -> ChunkReader:
        """Reads on from a place (see `Source.reader`).

        A stream that is pulled once goes on where it stands: `taken` is of account for its first
        reader. Steps are found by counting: a dataset is run up to them (see `DatasetPull` for what
        that costs), iterables are read, indexed batches left out.

        Raises:
            ValueError: the stream can be read only once, and has ended.
        """
        if not self._pull.once:
            return ChunkReader(self._cursor(epoch, skip), owned=True)
        if self._running is None:
            self._running = self._cursor(0, taken)
        elif self._running.ended:
            raise ValueError(
                f"{self._argument} can be read only once and ended after {self._running.taken} "
                "steps, and more are wanted; pass a function that makes a new one each epoch (the "
                "generator function itself, not what it returned), or fewer epochs or "
                "steps_per_epoch."
            )
        return ChunkReader(self._running, owned=False)

    def exactness(self) -> Exactness:
        """What resuming from a place can promise."""
        if self._exactness is None:
            self._exactness = self._pull.exactness()
        return self._exactness

    def fingerprint(self) -> dict[str, Any]:
        """What the stream is; values only of a first batch that comes again."""
        if self._fingerprint is None:
            weights = None if self._by_class is None else self._by_class.table()
            self._fingerprint = {
                **self._pull.fingerprint(),
                "spec": spec_lines(self.element_spec),
                "batches that make a step": self._join,
                "class weights": weights,
            }
        return self._fingerprint

    def close(self) -> None:
        """Ends the threads; harmless when repeated."""
        for cursor in list(self._cursors):
            cursor.close()

    def _cursor(self, epoch: int, skip: int) -> Cursor:
        runs = self._weighed(self._pull.runs(epoch, skip * self._join))
        if self._join > 1:
            runs = join_runs(runs, self._join)
        spec = self.element_spec
        most = None if self.steps_per_epoch is None else max(self.steps_per_epoch, 1)
        cursor = Cursor(lambda hungry: stack(runs, spec, hungry, most), self._argument)
        self._cursors.add(cursor)
        return cursor

    def _weighed(self, runs: Iterator[Run]) -> Iterator[Run]:
        return runs if self._by_class is None else _weigh(runs, self._pull.spec, self._by_class)


def join_runs(runs: Iterable[Run], k: int) -> Iterator[Run]:
    """Concatenates each `k` consecutive batches; the last may be of fewer.

    Raises:
        ValueError: batches that belong together differ beyond their first axis.
    """
    pending: list[list[np.ndarray]] = []
    for run in runs:
        at, count = 0, len(run[0])
        while at < count:
            whole = 0 if pending else (count - at) // k
            if whole:
                yield [
                    leaf[at : at + whole * k].reshape(whole, k * leaf.shape[1], *leaf.shape[2:])
                    for leaf in run
                ]
                at += whole * k
                continue
            pending.append([leaf[at] for leaf in run])
            at += 1
            if len(pending) == k:
                yield _concatenate(pending)
                pending = []
    if pending:
        yield _concatenate(pending)


def _concatenate(batches: list[list[np.ndarray]]) -> Run:
    try:
        return [np.concatenate(parts)[np.newaxis] for parts in zip(*batches, strict=True)]
    except ValueError:
        shapes = ", ".join(str(batch[0].shape) for batch in batches)
        raise ValueError(
            f"accumulate={len(batches)} joins batches of shapes {shapes}, which differ beyond the "
            "first axis; pad them to one length, or pass accumulate=1."
        ) from None


def _spec_with_weights(spec: Any, argument: str) -> Any:
    """The spec of a batch once class weights are in it."""
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            f"class_weight needs batches (x, y) or (x, y, sample_weight), and {argument} gives "
            "others; put the weights into the batches yourself."
        )
    if any(tf.nest.is_nested(part) for part in spec[1:]):
        raise ValueError(
            f"class_weight works for one target with one sample_weight, and {argument} gives nests "
            "of them; put the weights into the batches yourself."
        )
    weights = [None] if len(spec) == 2 else spec[2].shape
    return (*spec[:2], tf.TensorSpec(weights, tf.float32))


def _weigh(runs: Iterator[Run], spec: Any, by_class: ClassWeight) -> Iterator[Run]:
    """Appends or multiplies in the class weights; y is the leaf after those of x."""
    target = len(tf.nest.flatten(spec[0]))
    for run in runs:
        given = run[target + 1] if len(run) > target + 1 else None
        yield [*run[: target + 1], by_class.apply(run[target], given, axes=2)]
