"""What every kind of data hands to the loop: segments of steps, their readers, and the sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from trainer.data.exactness import Exactness

Fetch = Callable[[Any, Any, int], Any]


class Segment(NamedTuple):
    """Consecutive steps of one shape within one epoch.

    Attributes:
        args: the nest of tensors that the source's `fetch` reads. Its shapes are fixed for a source
            and a number of rows, so that a compiled loop meets each only once.
        steps: how many steps `fetch` can give: i in `[0, steps)`.
        rows: rows of each step.
        last: the epoch ends after this segment.
    """

    args: Any
    steps: int
    rows: int
    last: bool


class Reader(Protocol):
    """One pass over one epoch."""

    def take(self, limit: int) -> Segment | None:
        """The next segment, of at most `limit` steps; None when the epoch is over."""

    def close(self) -> None:
        """Lets go of what the reading holds (threads, chunks); harmless when repeated."""


class Source(Protocol):
    """Data to train on, in steps.

    A place in the data is `(epoch, skip, taken)`: the epoch, the steps made in it, and the steps
    made since the data was first read. Whoever keeps these three, in one run or in a checkpoint,
    hands them to `reader` and need not know what kind of data it is:

    - Data that can be read again (arrays, finite datasets, iterables, batches by index, functions
      that make one of these) is placed by `(epoch, skip)`: pass `epoch` from its step `skip` on.
    - Data that is pulled once (`once`: datasets and indexed batches without an end, iterators) has
      no epochs of its own: it is placed by `taken`.

    Whether the same batches are found there is told by `exactness()`, whether it is the same data
    by `fingerprint()`.

    Attributes:
        fetch: `fetch(args, i, rows) -> batch`, graph code that reads step `i` (an int32 scalar
            tensor) of a segment's `args`; `rows` is the segment's Python int.
        element_spec: nest of `tf.TensorSpec` of a batch, first axis None.
        steps_per_epoch: None when it is not known before the end.
        infinite: the data never ends.
        once: there is one pass, which every epoch goes on with.
    """

    fetch: Fetch
    element_spec: Any
    steps_per_epoch: int | None
    infinite: bool
    once: bool

    def example(self, rows: int) -> Any:
        """The first `rows` rows (fewer if the first batch has fewer), as eager tensors.

        A stream gives what was looked at again when it is read.
        """

    def reader(self, epoch: int, skip: int = 0, taken: int = 0) -> Reader:
        """Reads on from a place.

        Args:
            epoch: which pass, from 0; of no account where `once`.
            skip: steps of it that were made already; of no account where `once`.
            taken: steps that were made of this data at all; of account only where `once`, and only
                for the first reader of a source: later ones go on where the last one stopped.
                It is counted from the beginning of an endless dataset, and for an iterator from
                where it stands when the source is opened: 0 in the process that has read it so
                far, the whole number in a new one, which makes it anew.
        """

    def exactness(self) -> Exactness:
        """What resuming from a place can promise; looked for once, in some ms for most data."""

    def fingerprint(self) -> dict[str, Any]:
        """What this data is, as a JSON tree for `fingerprint.differences`; made once.

        Whatever decides the batches and can be had in some tens of ms: the kind, the spec, the
        numbers of rows and batches, the order and its seed, and hashes of values.
        """

    def close(self) -> None:
        """Ends every thread and stream of this source; harmless when repeated."""
