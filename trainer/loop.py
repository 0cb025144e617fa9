"""n steps in one compiled call: whatever n is, nothing is traced or compiled again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from trainer.compiling.refused import RefusedError, why
from trainer.sums import Sums

_ALIKE = 2  # shapes of arguments that get a graph each; from the next on one graph serves all


class StepOutput(NamedTuple):
    """What one step gives: sums by name, scalars by name, and (for predict) whole outputs.

    `stop` is what all workers say together of ending the call after this step; None with one.
    """

    sums: Mapping[str, Any]
    scalars: Mapping[str, Any]
    outputs: Any
    stop: Any = None


class Columns(NamedTuple):
    """What a call gives the host, `[n]` each.

    Attributes:
        steps: n, how many steps were made: fewer than asked for when the loop was told to stop.
        sums: name -> `Sums` of float32 arrays, one entry per step.
        scalars: name -> float32 array, one entry per step.
        carried: name -> nest of float64 tensors, for sums that are no pair of numbers: those
            handed to the call, with its steps' added one after the other.
        outputs: nest of arrays `[n, b, ...]`; empty where a step has none.
    """

    steps: int
    sums: dict[str, Sums]
    scalars: dict[str, np.ndarray]
    carried: dict[str, Any]
    outputs: Any


class Owner(Protocol):
    """Who made a loop: is told of its programs, and helps where one cannot run."""

    def traced(self, graph: tf.Graph, args: Any, seconds: float) -> None:
        """A program for arguments like these was traced."""

    def begin(self) -> None:
        """A program is about to run for the first time."""

    def ran(self, args: Any, seconds: float) -> None:
        """It has, in so many seconds."""

    def instead(self, error: Exception) -> Loop | None:
        """The loop to run in place of this, as if nothing had run; None: the error stands."""


class Loop:
    """Runs a step over and over inside one compiled call.

    Args:
        step: `step(batch, step_number) -> StepOutput`, ordinary TensorFlow code.
        fetch: `fetch(args, i, rows) -> batch`, pure: the i-th batch of a segment of the data.
        rows: rows of each batch.
        counter: the step counter, an int64 variable that a call advances, or None.
        stop: a bool variable that ends a call before its next step once it is True, or None. One
            XLA loop reads it only when it begins.
        mode: "graph" (TensorFlow's own executor), "step" (XLA compiles each step, the loop stays
            outside) or "loop" (XLA compiles the whole loop).
        capacity: the most steps of one call.
        owner: told of each program, and asked for another loop where one cannot run.
    """

    def __init__(
        self,
        step: Callable[[Any, tf.Tensor], StepOutput],
        fetch: Callable[..., Any],
        rows: int,
        *,
        counter: tf.Variable | None = None,
        stop: tf.Variable | None = None,
        mode: str = "graph",
        capacity: int = 1024,
        owner: Owner | None = None,
    ) -> None:
        self.mode = mode
        self.capacity = capacity
        self._counter = counter
        self._stop = stop
        self._step, self._fetch, self._rows = step, fetch, rows

        # By name: of a lambda a TPU's program would be called "<lambda>", which is no valid scope.
        def one_step(args: Any, i: tf.Tensor, number: tf.Tensor) -> StepOutput:
            return step(fetch(args, i, rows), number)

        self._one = tf.function(
            one_step, jit_compile=True if mode == "step" else None, autograph=False
        )
        self._run = tf.function(
            self._loop, jit_compile=True if mode == "loop" else None, autograph=False
        )
        # One program for each signature, kept here rather than in tf.function's own cache, which
        # costs more per call and warns of "retracing" when several trainers are made.
        self._steps: dict[Any, Any] = {}
        self._programs: dict[Any, Any] = {}
        self._known: dict[Any, _Ready] = {}
        self._layout: _Layout | None = None
        self._owner = owner
        self._instead: Loop | None = None
        self._ran: set[Any] = set()
        self._largest = 0  # of the calls made, in values
        self._shares = mode == "graph"  # see `_share`
        self._shared: Any = None

    def batch(self, args: Any, i: int) -> Any:
        """Step `i`'s batch of a segment, eagerly."""
        return self._fetch(args, tf.constant(i, tf.int32), self._rows)

    def eager_step(self, args: Any, i: int, number: int) -> StepOutput:
        """Makes step `i` of a segment eagerly, as step number `number`; the counter stays."""
        return self._step(self.batch(args, i), tf.constant(number, tf.int64))

    @contextmanager
    def counting_from(self, step: int) -> Iterator[None]:
        """While open, steps are numbered from there on; then the counter is what it was."""
        assert self._counter is not None
        before = self._counter.read_value()
        self._counter.assign(step)
        try:
            yield
        finally:
            self._counter.assign(before)

    def trace(self, args: Any) -> tf.Graph:
        """The graph of one step, traced but not run; errors of the step's code come here."""
        return self._concrete(args).graph

    @property
    def reports(self) -> tuple[dict[str, Any], list[str]]:
        """Name -> sums that a step gives, symbolic, and names of its scalars; known once traced.

        Pairs of numbers, of which each step has a value, come before sums that are carried.
        """
        layout = self._layout
        assert layout is not None
        given = {name: layout.given[name] for name in (*layout.sums, *layout.carried)}
        return given, list(layout.scalars)

    def __call__(
        self, args: Any, first: int, n: int, carried: Mapping[str, Any] | None = None
    ) -> Columns:
        """Runs `n` steps of a segment from its step `first` on, and brings back what they reported.

        All of it comes in one small transfer, but for the carried sums, which stay tensors.

        Args:
            args: the segment's data.
            first: its step to begin with.
            n: how many steps.
            carried: name -> sums to go on adding to, as the call before gave them back; other names
                are left alone. A name that is missing starts at 0. So the additions of a run are
                the same, in the same order, however it is cut into calls.
        """
        if not 0 < n <= self.capacity:
            raise ValueError(f"n={n} steps in one call; a call takes 1 to {self.capacity}.")
        if self._instead is not None:
            return self._instead(args, first, n, carried)
        bounds = tf.constant(first, tf.int32), tf.constant(n, tf.int32)
        begun = time.perf_counter()
        ready = self._ready(args)
        # A larger call of a shared program may be the one that memory does not hold.
        if new := ready.key not in self._ran or ready.values > self._largest:
            self._largest = max(self._largest, ready.values)
            if self._owner is not None:
                self._owner.begin()
        try:
            start = _begin(ready.carried, carried or {})
            made, rows, added, outputs = ready.program(args, *bounds, start)
        except tf.errors.OpError as error:
            self._instead = self._owner.instead(error) if new and self._owner is not None else None
            if self._instead is None:
                no_room = isinstance(error, tf.errors.ResourceExhaustedError)
                if new and self.mode != "graph" and not no_room:
                    raise self._explained(error) from error
                raise
            return self._instead(args, first, n, carried)
        if new:
            self._ran.add(ready.key)
            if self._owner is not None:
                self._owner.ran(self._specs(args), time.perf_counter() - begun)
        steps = int(made)
        sums, scalars = ready.layout.split(rows.numpy()[:steps])
        outputs = tf.nest.map_structure(lambda x: x.numpy()[:steps], outputs)
        return Columns(steps, sums, scalars, added, outputs)

    @property
    def graphs(self) -> list[tf.Graph]:
        """The traced graphs of a step."""
        own = [step.graph for step in self._steps.values()]
        return own + (self._instead.graphs if self._instead else [])

    @property
    def traces(self) -> int:
        """How often the loop has been traced."""
        return len(self._programs) + (self._instead.traces if self._instead else 0)

    def _explained(self, error: tf.errors.OpError) -> RefusedError:
        return RefusedError(
            f"the step failed when compiled by XLA (mode {self.mode!r}): {why(error)}\n"
            "Use jit='auto' or jit=False if XLA cannot compile one of its operations.\n\n"
            f"{error.message}"
        )

    def _ready(self, args: Any) -> _Ready:
        """What a call with such arguments needs, found once."""
        own = _signature(args)
        if own not in self._known:
            program, carried = self._program(args), self._carried(args)
            assert self._layout is not None
            values = sum(math.prod(shape) for shape, _ in own)
            self._known[own] = _Ready(self._key(args), program, carried, self._layout, values)
        return self._known[own]

    def _program(self, args: Any) -> Any:
        self._concrete(args)  # finds out which shapes it can share
        key = self._key(args)
        if key not in self._programs:
            index = tf.TensorSpec([], tf.int32)
            self._programs[key] = self._run.get_concrete_function(
                self._specs(args), index, index, self._carried(args)
            )
        return self._programs[key]

    def _carried(self, args: Any) -> dict[str, Any]:
        """What is carried from step to step: whole numbers are exact up to 2**53 in float64."""
        shapes = self._concrete(args).structured_outputs.sums
        assert self._layout is not None
        return tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape, tf.float64),
            {k: shapes[k] for k in self._layout.carried},
        )

    def _concrete(self, args: Any) -> Any:
        if self._key(args) not in self._steps:
            self._share(args)
        key = self._key(args)
        if key not in self._steps:
            index, number = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int64)
            begun = time.perf_counter()
            specs = self._specs(args)
            try:
                self._steps[key] = self._one.get_concrete_function(specs, index, number)
            except (TypeError, ValueError):
                if key != self._shared:
                    raise
                self._shared, self._shares = None, False  # it needs sizes: a graph for each
                return self._concrete(args)
            if self._owner is not None:
                seconds = time.perf_counter() - begun
                self._owner.traced(self._steps[key].graph, specs, seconds)
        self._layout = _Layout.of(self._steps[key].structured_outputs)
        return self._steps[key]

    # A graph need not know every size. XLA must, and compiles for each shape anew.

    def _share(self, args: Any) -> None:
        """Lets one graph serve all shapes once there have been several; `_key` then finds it.

        Where the step needs sizes and cannot be traced without, each shape keeps its own.
        """
        if not self._shares or len(self._steps) < _ALIKE:
            return
        known = [self._shared] if self._shared is not None else list(self._steps)
        seen = [_signature(args), *known]
        if len({tuple((len(shape), dtype) for shape, dtype in one) for one in seen}) > 1:
            return  # other ranks or dtypes: a program of their own
        self._shared = _common(seen)

    def _key(self, args: Any) -> Any:
        own = _signature(args)
        if own in self._steps or self._shared is None or not _fits(own, self._shared):
            return own
        return self._shared

    def _specs(self, args: Any) -> Any:
        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in self._key(args)]
        return tf.nest.pack_sequence_as(args, specs)

    def _loop(self, args: Any, first: tf.Tensor, n: tf.Tensor, carried: dict[str, Any]) -> Any:
        step = self._concrete(args)
        shapes = step.structured_outputs
        layout = self._layout
        assert layout is not None
        start = tf.constant(0, tf.int64) if self._counter is None else self._counter.read_value()
        # Preallocated: a size that varied with n would compile again for each n.
        rows = tf.TensorArray(tf.float32, size=self.capacity, element_shape=[layout.width])
        outputs = tf.nest.map_structure(
            lambda x: tf.TensorArray(x.dtype, size=self.capacity, element_shape=x.shape),
            shapes.outputs,
        )

        def body(i: Any, ended: Any, rows: Any, carried: Any, outputs: Any) -> Any:
            out = step(args, first + i, start + tf.cast(i, tf.int64))
            if self._counter is not None:  # here, so that it is right if a later step fails
                self._counter.assign_add(1)
            rows = rows.write(i, layout.row(out))
            new = {k: out.sums[k] for k in layout.carried}
            carried = tf.nest.map_structure(lambda a, b: a + tf.cast(b, a.dtype), carried, new)
            outputs = tf.nest.map_structure(lambda ta, x: ta.write(i, x), outputs, out.outputs)
            return i + 1, ended if out.stop is None else out.stop, rows, carried, outputs

        def goes_on(i: Any, ended: Any, *_: Any) -> Any:
            if self._stop is None:
                return i < n
            if shapes.stop is None:
                ended = self._stop.read_value()
            return tf.logical_and(i < n, tf.logical_not(ended))

        made, _, rows, carried, outputs = tf.while_loop(
            goes_on,
            body,
            (tf.constant(0), tf.constant(False), rows, carried, outputs),
            parallel_iterations=1,
        )
        return made, rows.stack(), carried, tf.nest.map_structure(lambda ta: ta.stack(), outputs)


class _Layout(NamedTuple):
    """Where each reported number stands in a row of float32; `given` are all sums, symbolic."""

    sums: list[str]
    scalars: list[str]
    carried: list[str]
    given: Mapping[str, Any]

    @classmethod
    def of(cls, out: StepOutput) -> _Layout:
        pairs = [k for k, v in out.sums.items() if is_scalar_sums(v)]
        carried = [k for k in out.sums if k not in pairs]
        for name, value in out.scalars.items():
            if value.shape.rank != 0:
                raise ValueError(f"the reported scalar {name!r} has shape {value.shape}, not [].")
        return cls(pairs, list(out.scalars), carried, out.sums)

    @property
    def width(self) -> int:
        return 2 * len(self.sums) + len(self.scalars)

    def row(self, out: StepOutput) -> tf.Tensor:
        numbers = [x for k in self.sums for x in out.sums[k]]
        numbers += [out.scalars[k] for k in self.scalars]
        return tf.stack([tf.cast(x, tf.float32) for x in numbers]) if numbers else tf.zeros([0])

    def split(self, rows: np.ndarray) -> tuple[dict[str, Sums], dict[str, np.ndarray]]:
        sums = {k: Sums(rows[:, 2 * i], rows[:, 2 * i + 1]) for i, k in enumerate(self.sums)}
        first = 2 * len(self.sums)
        return sums, {k: rows[:, first + i] for i, k in enumerate(self.scalars)}


class _Ready(NamedTuple):
    """A program, and how to call it."""

    key: Any
    program: Any
    carried: dict[str, Any]  # specs
    layout: _Layout
    values: int  # in its arguments


def _begin(specs: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    begin = {}
    for name, spec in specs.items():
        flat = tf.nest.flatten(spec)
        old = tf.nest.flatten(given[name]) if name in given else [0.0] * len(flat)
        start = [_wide(x, s.shape) for x, s in zip(old, flat, strict=True)]
        begin[name] = tf.nest.pack_sequence_as(spec, start)
    return begin


def _wide(value: Any, shape: tf.TensorShape) -> tf.Tensor:
    """A float64 tensor of that shape; the very same one where it is one already."""
    value = tf.cast(value, tf.float64)
    return value if value.shape == shape else tf.broadcast_to(value, shape)


def _signature(args: Any) -> tuple[Any, ...]:
    return tuple((tuple(x.shape), x.dtype) for x in tf.nest.flatten(args))


def _common(signatures: Sequence[Any]) -> tuple[Any, ...]:
    """The sizes that signatures of the same ranks and dtypes share; None for the others."""

    def one(shapes: Sequence[Any]) -> tuple[int | None, ...]:
        return tuple(
            sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)
        )

    return tuple(
        (one([shape for shape, _ in leaf]), leaf[0][1]) for leaf in zip(*signatures, strict=True)
    )


def _fits(signature: Any, shared: Any) -> bool:
    """Whether tensors of a signature may be handed to a program for shared sizes."""
    return len(signature) == len(shared) and all(
        dtype == wanted
        and len(shape) == len(sizes)
        and all(b in (None, a) for a, b in zip(shape, sizes, strict=True))
        for (shape, dtype), (sizes, wanted) in zip(signature, shared, strict=True)
    )


def is_scalar_sums(value: Any) -> bool:
    """Whether sums are a pair of numbers, which have a value at each step."""
    return isinstance(value, Sums) and value.total.shape.rank == 0 and value.count.shape.rank == 0
