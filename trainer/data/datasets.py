"""tf.data pulls: several batches at a time, as a call from Python costs more than a small step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.chunks import Run
from trainer.data.convert import names_of
from trainer.data.exactness import Exactness, of_dataset
from trainer.data.fingerprint import of_pipeline
from trainer.data.hashes import of_arrays
from trainer.data.pipeline import Pipeline, may_reshuffle, read

GROUP_BYTES = (
    1 << 20
)  # what one call from Python gets, so that a slow dataset's first batch is soon there
MOST_BATCHES = 16
_GUESS_ROWS, _GUESS_LENGTH = 32, 64  # of axes that the spec leaves open


class DatasetPull:
    """Passes over a `tf.data.Dataset` of batches.

    Batches are taken in groups: by `batch` where their shapes are static (59 us a batch of 100 kB,
    against 283 for one call each and 141 for a loop in graph), else by `padded_batch`, from which
    each batch is cut out in its own shape (129 us).

    Passes of shuffled data differ (see `Passes`). A place in a pass is found by `skip`, which runs
    the pipeline up to it: 8 us a batch of 32 numbers, 24 of 100 kB from memory, 47 shuffled, 920
    where a `map` costs that; 1 ms for each earlier epoch besides, where a shuffle counts them.

    Args:
        dataset: the dataset.
        remake: None, or a function that makes a new one for each pass.
        argument: its name in messages.

    Raises:
        TypeError: it gives sparse or ragged tensors.
        ValueError: it is empty or not batched.
    """

    def __init__(
        self, dataset: tf.data.Dataset, remake: Callable[[], Any] | None, argument: str
    ) -> None:
        self._remake, self._argument = remake, argument
        self.spec = _checked_spec(dataset.element_spec, argument)
        cardinality = int(dataset.cardinality())
        if cardinality == 0:
            raise ValueError(f"{argument} is a dataset without batches; at least one is needed.")
        self.infinite = self.once = cardinality == tf.data.INFINITE_CARDINALITY
        self.batches = cardinality if cardinality > 0 else None
        self._dataset = dataset
        self._passes = None if remake else Passes(dataset)
        self._grouped: tuple[Any, Any, bool | None] | None = None  # of a dataset, and whether even
        self._fresh = True  # a remade dataset that no pass has read yet
        self._begun = False
        self._first: Run | None = None
        self._peeked: Iterator[Run] | None = None  # what follows the first run in pass 0

    def first(self) -> Run:
        """The first run of pass 0, which is not made again when that pass is next."""
        if self._first is None:
            runs = self._open(0, 0)
            self._first = next(runs, None)
            if self._first is None:
                raise ValueError(f"{self._argument} gave no batch; at least one is needed.")
            self._peeked = None if self._begun else runs
        return self._first

    def runs(self, epoch: int, start: int) -> Iterator[Run]:
        """A pass from batch `start` on."""
        epoch = 0 if self.once else epoch
        peeked, self._peeked, self._begun = self._peeked, None, True
        if peeked is not None and (epoch == 0 or self._passes is None or self._passes.alike):
            return drop(itertools.chain([self.first()], peeked), start)
        return self._open(epoch, start)

    def exactness(self) -> Exactness:
        """As the graph of the dataset tells; at best counted where a function makes it anew."""
        found = of_dataset(self._dataset, self._argument)
        if self._remake is None or found.level == "refused":
            return found
        return Exactness(
            "counted",
            f"{self._argument} is a function that makes a dataset for each epoch: its batches are "
            "the same only if it makes the same again. Pass the dataset itself.",
        )

    def fingerprint(self) -> dict[str, Any]:
        """The pipeline in words, and the first batch's hash if it comes again."""
        found: dict[str, Any] = {"kind": "function of a dataset" if self._remake else "dataset"}
        found["batches"] = self.batches
        pipeline, _ = read(self._dataset)
        if pipeline is not None:
            found |= of_pipeline(pipeline)
        if self.exactness().level == "exact":
            found["first batch"] = of_arrays(leaf[0] for leaf in self.first())
        return found

    def _open(self, epoch: int, start: int) -> Iterator[Run]:
        if self._passes is not None:
            dataset = self._passes.open(epoch)
        else:
            if self._remake is not None and not self._fresh:
                self._dataset = self._remake()
            dataset, self._fresh = self._dataset, False
        if start:
            grouped, regular = _grouped(dataset.skip(start))
        else:
            if self._grouped is None or self._grouped[0] is not dataset:
                self._grouped = (dataset, *_grouped(dataset))
            _, grouped, regular = self._grouped
        return _runs(iter(grouped), self.spec, regular, self._argument)


class Passes:
    """A dataset whose passes are functions of their numbers, whatever else is done with it.

    A shuffle that differs every epoch draws its seed from how many iterators were made on its
    dataset: by earlier passes, by the user, by an evaluation on the same data. So passes are
    iterators on a copy of our own, and pass e is the e-th of them: in any process the order is that
    which the e-th loop over a new dataset has, and that of Keras. Where a pass may begin a shuffle
    more than once (before `repeat` or `concatenate`), how many seeds it draws depends on how far it
    is read; there each later pass has a copy with its number mixed into the seeds.

    Args:
        dataset: the dataset.
    """

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self._dataset = self._current = dataset
        self._made = 0  # iterators made on the current one
        self._again = False
        self._pipeline: Pipeline | None = None  # what copies are made of
        self.alike = not may_reshuffle(dataset)
        pipeline, _ = (None, "") if self.alike else read(dataset)
        if pipeline is None:
            return  # as TensorFlow does it: exactness() then promises less
        shuffles = [step for step in pipeline.steps() if step.reshuffles]
        self.alike = not shuffles
        if shuffles and (copy := pipeline.fresh()) is not None:
            self._current, self._pipeline = copy, pipeline
            self._again = any(step.again for step in shuffles)

    def open(self, epoch: int) -> tf.data.Dataset:
        """The dataset on which one iterator is to be made: that of pass `epoch`."""
        if self.alike:
            return self._dataset
        if self._pipeline is not None and (self._again or self._made > epoch):
            self._current = self._pipeline.fresh(epoch if self._again else 0)
            self._made = epoch if self._again else 0
        for _ in range(self._made, epoch):
            iter(self._current)
        self._made = max(self._made, epoch) + 1
        return self._current


def drop(runs: Iterable[Run], batches: int) -> Iterator[Run]:
    """Leaves out the first batches."""
    for run in runs:
        count = min(batches, len(run[0]))
        batches -= count
        if count < len(run[0]):
            yield [leaf[count:] for leaf in run] if count else run


def _grouped(dataset: tf.data.Dataset) -> tuple[tf.data.Dataset, bool | None]:
    """The dataset by groups, and whether their shapes are static (None: it is not grouped)."""
    specs = tf.nest.flatten(dataset.element_spec)
    count = max(1, min(MOST_BATCHES, GROUP_BYTES // max(1, sum(map(_guess_bytes, specs)))))
    if any(spec.shape.rank is None for spec in specs) or count == 1:
        return dataset, None
    if all(spec.shape.is_fully_defined() for spec in specs):
        return dataset.batch(count), True
    return _with_shapes(dataset).padded_batch(count), False


def _with_shapes(dataset: tf.data.Dataset) -> tf.data.Dataset:
    def add(*batch: Any) -> Any:
        return tuple(tf.nest.flatten(batch)), tuple(tf.shape(t) for t in tf.nest.flatten(batch))

    return dataset.map(tf.autograph.experimental.do_not_convert(add))


def _guess_bytes(spec: tf.TensorSpec) -> int:
    if spec.shape.rank is None:
        return GROUP_BYTES
    guesses = [_GUESS_ROWS] + [_GUESS_LENGTH] * (spec.shape.rank - 1)
    sizes = [
        guess if size is None else size for guess, size in zip(guesses, spec.shape, strict=True)
    ]
    return int(np.prod(sizes, dtype=np.int64)) * max(spec.dtype.size or 32, 1)


def _runs(elements: Iterator[Any], spec: Any, regular: bool | None, argument: str) -> Iterator[Run]:
    for element in elements:
        if regular is False:
            leaves, shapes = ([np.asarray(t) for t in part] for part in element)
            parts = _cut(leaves, shapes)
        else:
            leaves = [np.asarray(t) for t in tf.nest.flatten(element)]
            parts = iter([leaves if regular else [leaf[np.newaxis] for leaf in leaves]])
        for run in parts:
            check_rows(run, spec, argument)
            yield run


def _cut(leaves: list[np.ndarray], shapes: list[np.ndarray]) -> Iterator[Run]:
    """Cuts padded groups where a shape changes, and each part to its shape."""
    changes = np.zeros(len(leaves[0]) - 1, bool)
    for shape in shapes:
        changes |= (shape[1:] != shape[:-1]).any(axis=-1)
    bounds = [0, *(np.flatnonzero(changes) + 1), len(leaves[0])]
    for start, stop in itertools.pairwise(bounds):
        windows = [(slice(start, stop), *map(slice, shape[start])) for shape in shapes]
        yield [leaf[window] for leaf, window in zip(leaves, windows, strict=True)]


def check_rows(run: Run, spec: Any, argument: str) -> None:
    """All components of a batch must have the same number of rows.

    Raises:
        ValueError: they have not.
    """
    if len({leaf.shape[1:2] for leaf in run}) > 1 or run[0].ndim == 1:
        rows = [leaf.shape[1] if leaf.ndim > 1 else "none" for leaf in run]
        _refuse_rows(rows, spec, argument)


def _checked_spec(element_spec: Any, argument: str) -> Any:
    specs, names = tf.nest.flatten(element_spec), names_of(element_spec, argument)
    for spec, name in zip(specs, names, strict=True):
        if not isinstance(spec, tf.TensorSpec):
            way = (
                "tf.sparse.to_dense" if isinstance(spec, tf.SparseTensorSpec) else "its to_tensor()"
            )
            raise TypeError(
                f"{name} of the dataset is a {type(spec).__name__.removesuffix('Spec')}; dense "
                f"tensors are allowed. Map the dataset through {way}."
            )
        if spec.shape.rank == 0:
            raise ValueError(
                f"{name} of the dataset is a scalar, so its elements are single examples; batches "
                f"are needed. Pass {argument}.batch(32)."
            )
    rows = [None if spec.shape.rank is None else spec.shape[0] for spec in specs]
    if len({size for size in rows if size is not None}) > 1:
        _refuse_rows(rows, element_spec, argument)
    return tf.nest.map_structure(_open_spec, element_spec)


def _open_spec(spec: tf.TensorSpec) -> tf.TensorSpec:
    dtype = tf.float32 if spec.dtype == tf.float64 else spec.dtype
    if spec.shape.rank is None:
        return tf.TensorSpec(None, dtype)
    return tf.TensorSpec([None, *spec.shape[1:]], dtype)


def _refuse_rows(rows: list[Any], spec: Any, argument: str) -> None:
    listing = ", ".join(
        f"{name}: {n}" for name, n in zip(names_of(spec, argument), rows, strict=True)
    )
    raise ValueError(
        f"The components of a batch have different numbers of rows ({listing}); the first axis of "
        f"each counts the examples. If {argument} gives single examples, batch them: "
        f"{argument}.batch(32)."
    )
