"""What every kind of data hands to the loop: segments of steps, their readers, and the sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

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

    Attributes:
        fetch: `fetch(args, i, rows) -> batch`, graph code that reads step `i` (an int32 scalar
            tensor) of a segment's `args`; `rows` is the segment's Python int.
        element_spec: nest of `tf.TensorSpec` of a batch, first axis None.
        steps_per_epoch: None when it is not known before the end.
        infinite: the data never ends.
    """

    fetch: Fetch
    element_spec: Any
    steps_per_epoch: int | None
    infinite: bool

    def example(self, rows: int) -> Any:
        """The first `rows` rows (fewer if the first batch has fewer), as eager tensors.

        A stream gives what was looked at again when it is read.
        """

    def reader(self, epoch: int, skip: int = 0) -> Reader:
        """Reads epoch `epoch`, from its step `skip` on."""

    def close(self) -> None:
        """Ends every thread and stream of this source; harmless when repeated."""
