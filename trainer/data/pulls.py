"""Pulls from Python: iterables and iterators of batches, and objects that give batches by index."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.chunks import Run, check_dtypes, run_of
from trainer.data.convert import names_of, spec_of, to_arrays
from trainer.data.datasets import check_rows
from trainer.data.exactness import Exactness
from trainer.data.hashes import of_arrays
from trainer.random import permutation


class IterablePull:
    """Passes over an iterable of batches; an iterator gives only one.

    Args:
        iterable: gives batches: arrays or nests of them, such as `(x, y)`.
        remake: None, or a function that makes a new iterable for each pass.
        argument: its name in messages.

    Raises:
        ValueError: it gives nothing.
    """

    infinite = False
    batches: int | None = None

    def __init__(self, iterable: Any, remake: Callable[[], Any] | None, argument: str) -> None:
        self._iterable, self._remake, self._argument = iterable, remake, argument
        self.once = remake is None and iter(iterable) is iterable
        self._peeked: Iterator[Any] | None = None
        raws = iter(iterable)
        raw, self.spec = _peek(raws, argument)
        self._first = run_of(tf.nest.flatten(to_batch(raw, argument)))
        self._peeked = itertools.chain([raw], raws)

    def first(self) -> Run:
        """The first run, which the next pass gives again."""
        return self._first

    def runs(self, epoch: int, start: int) -> Iterator[Run]:
        """A pass from batch `start` on."""
        raws, self._peeked = self._peeked, None
        if raws is None:
            raws = iter(self._iterable if self._remake is None else self._remake())
        return _runs(itertools.islice(raws, start, None), self.spec, self._argument)

    def exactness(self) -> Exactness:
        """Counted; refused for an iterator, of which a new process has another."""
        name, kind = self._argument, type(self._iterable).__name__
        if self.once:
            return Exactness(
                "refused",
                f"{name} is a {kind}, which can be read only once: whether another one begins "
                "where this one did cannot be told. Pass a function that makes it (the generator "
                "function itself, not what it returned), or arrays.",
            )
        made = (
            f"{name} is a function that makes a {kind}" if self._remake else f"{name} is a {kind}"
        )
        return Exactness(
            "counted",
            f"{made}: what was read is read again and left out, and the batches after it are the "
            "same only if the data is a function of the place alone. Arrays are exact.",
        )

    def fingerprint(self) -> dict[str, Any]:
        """The kind alone: what the batches hold may change."""
        return {"kind": "function of an iterable" if self._remake else "iterable"}


class IndexedPull:
    """Passes over an object that gives batches by index, as a `keras.utils.PyDataset` does.

    Its `on_epoch_begin` and `on_epoch_end` are called, where it has them; with `workers` above one
    its batches are made on so many threads.

    Args:
        data: the object, with `__getitem__`, `on_epoch_end`, and a length: `num_batches` (None for
            an endless one) or `__len__`.
        remake: None, or a function that makes a new one for each pass.
        argument: its name in messages.
        seed: None to read in order, else the seed of each epoch's order, as Keras shuffles these.

    Raises:
        ValueError: it has no batches.
    """

    def __init__(
        self,
        data: Any,
        remake: Callable[[], Any] | None,
        argument: str,
        seed: int | None = None,
    ) -> None:
        self._data, self._remake, self._argument, self._seed = data, remake, argument, seed
        self.batches: int | None = data.num_batches if hasattr(data, "num_batches") else len(data)
        if self.batches == 0:
            raise ValueError(f"{argument} has a length of 0; at least one batch is needed.")
        self.infinite = self.once = self.batches is None
        raw, self.spec = _peek(iter([data[0]]), argument)
        self._first = run_of(tf.nest.flatten(to_batch(raw, argument)))
        self._digest = of_arrays(leaf[0] for leaf in self._first)
        self._fresh = True

    def first(self) -> Run:
        """The first run: the batch of index 0."""
        return self._first

    def runs(self, epoch: int, start: int) -> Iterator[Run]:
        """A pass from batch `start` on."""
        if self._remake is not None and not self._fresh:
            self._data = self._remake()
        self._fresh = False
        order: Iterable[int]
        if self.batches is None:
            order = itertools.count(start)
        elif self._seed is None:
            order = range(start, self.batches)
        else:
            order = permutation(self._seed, epoch, self.batches)[start:].tolist()
        return _runs(_by_index(self._data, order), self.spec, self._argument)

    def exactness(self) -> Exactness:
        """Exact if a batch seems to be a function of its index: the first is asked for again."""
        name, kind = self._argument, type(self._data).__name__
        if self._remake is not None:
            return Exactness(
                "counted",
                f"{name} is a function that makes a {kind} for each epoch: its batches are the "
                "same only if it makes the same again.",
            )
        if of_arrays(tf.nest.flatten(to_batch(self._data[0], name))) != self._digest:
            return Exactness(
                "refused",
                f"{name}[0] gave other values when asked for again; make {kind}.__getitem__ a "
                "function of the index: draw random numbers from a generator seeded with it.",
            )
        if own := [hook for hook in _HOOKS if _is_own(getattr(self._data, hook, None))]:
            return Exactness(
                "counted",
                f"{name} is a {kind} whose {own[0]} may change its batches from epoch to epoch, "
                "and a resumed run begins with a new one: they are the same only if the epoch "
                "decides nothing. For another order each epoch pass shuffle=True in its place.",
            )
        return Exactness(
            "exact", f"{name} gives batches by index, in an order of ours; [0] came twice the same."
        )

    def fingerprint(self) -> dict[str, Any]:
        """The number of batches, their order, and the first one's hash if it comes again."""
        again = self.exactness().level != "refused"
        return {
            "kind": "function of batches by index" if self._remake else "batches by index",
            "batches": self.batches,
            "shuffle": self._seed is not None,
            "seed": self._seed,
            "first batch": self._digest if again else None,
        }


_HOOKS = ("on_epoch_begin", "on_epoch_end")


def _is_own(hook: Any) -> bool:
    """Whether a hook was written by the user: those of Keras's own class do nothing."""
    module = getattr(hook, "__module__", None) or ""
    return hook is not None and module.split(".")[0] not in ("keras", "tf_keras")


def to_batch(raw: Any, argument: str) -> Any:
    """One batch as Keras reads it: a list is a tuple, and None at the end is left out.

    Raises:
        TypeError: it holds something else than arrays.
        ValueError: it is empty.
    """
    if isinstance(raw, list):
        raw = tuple(raw)
    if isinstance(raw, tuple) and not hasattr(raw, "_fields"):
        while raw and raw[-1] is None:
            raw = raw[:-1]
        if not raw:
            raise ValueError(f"{argument} gave an empty batch, (); a batch is x, (x, y) or a dict.")
    return to_arrays(raw, argument)


def _peek(raws: Iterator[Any], argument: str) -> tuple[Any, Any]:
    """The first batch and its spec."""
    for raw in raws:
        batch = to_batch(raw, argument)
        for leaf, name in zip(tf.nest.flatten(batch), names_of(batch, argument), strict=True):
            if len(leaf.shape) == 0:
                raise ValueError(
                    f"{name} is a scalar in the first batch, so {argument} gives single examples; "
                    "batches are needed, arrays whose first axis counts the examples."
                )
        spec = tf.nest.map_structure(spec_of, batch)
        check_rows(run_of(tf.nest.flatten(batch)), spec, argument)
        return raw, spec
    raise ValueError(
        f"{argument} gave no batch; at least one is needed. If it is a generator that was read "
        "before, pass a function that makes a new one."
    )


def _runs(raws: Iterator[Any], spec: Any, argument: str) -> Iterator[Run]:
    names = names_of(spec, argument)
    known: list[Any] | None = None  # the dtypes, once a batch was a plain tuple of arrays
    for number, raw in enumerate(raws):
        if known is not None and _is_plain(raw) and [leaf.dtype for leaf in raw] == known:
            run = run_of(raw)  # nothing to convert: the checks below cost as much as a small step
        else:
            leaves = _leaves_like(spec, raw, number, argument)
            check_dtypes(leaves, spec, names, number)
            run = run_of(leaves)
            if _is_plain(raw) and not any(leaf.dtype.kind in "OUS" for leaf in raw):
                known = [leaf.dtype for leaf in raw]
        check_rows(run, spec, argument)
        yield run


def _is_plain(raw: Any) -> bool:
    return type(raw) is tuple and all(type(leaf) is np.ndarray and leaf.ndim for leaf in raw)


def _leaves_like(spec: Any, raw: Any, number: int, argument: str) -> list[Any]:
    """The leaves of a batch, which must have the structure of the first."""
    batch = to_batch(raw, argument)
    try:
        tf.nest.assert_same_structure(spec, batch)
    except (ValueError, TypeError):
        raise ValueError(
            f"Batch {number} of {argument} has another structure than the first: {_sketch(batch)} "
            f"in place of {_sketch(spec)}. All batches must have the same."
        ) from None
    return tf.nest.flatten(batch)


def _by_index(data: Any, order: Iterable[int]) -> Iterator[Any]:
    if hasattr(data, "on_epoch_begin"):
        data.on_epoch_begin()
    workers = int(getattr(data, "workers", 1) or 1)
    if workers <= 1:
        for index in order:
            yield data[index]
    else:
        yield from _by_threads(data, order, workers)
    data.on_epoch_end()


def _by_threads(data: Any, order: Iterable[int], workers: int) -> Iterator[Any]:
    """The batches in their order, `2 * workers` of them under way."""
    indices = iter(order)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="trainer-data")
    try:
        ahead = itertools.islice(indices, 2 * workers)
        waiting = deque(pool.submit(data.__getitem__, index) for index in ahead)
        while waiting:
            batch = waiting.popleft().result()
            for index in itertools.islice(indices, 1):
                waiting.append(pool.submit(data.__getitem__, index))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _sketch(tree: Any) -> str:
    """A nest's structure, with * for its leaves."""
    return str(tf.nest.map_structure(lambda leaf: "*", tree)).replace("'*'", "*")
