"""Recomputation: a layer's activations are not kept for the backward pass but made again there.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost": memory of one layer's input in
place of all that is computed inside it, for one more forward pass. The gradients are the same:
random layers draw again what they drew, and what a layer keeps beside its output (moving averages)
is changed once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf


def recomputed(call: Callable[..., Any], inputs: Any, args: Any, kwargs: Any) -> Any:
    """`call(inputs, *args, **kwargs)`, whose backward pass runs it again.

    Args:
        call: a function of tensors and of the trainable variables it reads.
        inputs: a nest of tensors; so may be args and kwargs, in part.
        args: further positional arguments.
        kwargs: further arguments by name.

    Raises:
        ValueError: it assigns to a variable that it may read: a second run would be another.
    """
    given = (inputs, args, kwargs)
    leaves = tf.nest.flatten(given)
    places = [i for i, leaf in enumerate(leaves) if tf.is_tensor(leaf)]
    structure: list[Any] = []

    def run_on(tensors: Any) -> list[tf.Tensor]:
        filled = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        x, more, named = tf.nest.pack_sequence_as(given, filled)
        y = call(x, *more, **named)
        structure[:] = [y]
        return tf.nest.flatten(y)

    @tf.custom_gradient
    def run(*tensors: tf.Tensor) -> Any:
        seeds: list[Any] = []
        with _recording(seeds):
            y = run_on(tensors)

        def gradient(*upstream: Any, variables: Any = None) -> Any:
            again = [_after(x, upstream) for x in tensors]
            weights = list(variables or ())
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([x for x in again if x.dtype.is_floating])
                tape.watch(weights)
                with _replaying(seeds):
                    y_again = run_on(again)
            found = tape.gradient(y_again, [*again, *weights], output_gradients=list(upstream))
            own = found[: len(again)]
            return own if variables is None else (own, found[len(again) :])

        return y, gradient

    outputs = run(*(leaves[i] for i in places))
    flat = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return tf.nest.pack_sequence_as(structure[0], list(flat))


def drawn(draw: Callable[[], Any]) -> Any:
    """A seed: drawn the first time, and the same again where a layer is run again."""
    return _drawn(draw, len(_passes()))


def update(variable: Any, value: Any) -> None:
    """Assigns state that the layer's output does not depend on, once per step."""
    passes = _passes()
    if not any(one.replays for one in passes):
        for one in passes:
            one.updates += 1
        variable.assign(value)


def folded(seed: Any, number: int) -> Any:
    """A seed of its own for a number: int32 `[2]`, or `[b, 2]` where each example has one."""
    if seed.shape.rank == 2:
        mixed = (number + 1) * 0x27D4EB2F & 0x7FFFFFFF
        return tf.bitwise.bitwise_xor(seed, tf.constant([mixed, 0]))
    # By default XLA draws otherwise than plain TensorFlow where a seed has a word below 0.
    return tf.random.experimental.stateless_fold_in(seed, number, alg="philox")


@contextmanager
def folding(seed: Any) -> Iterator[None]:
    """While it is open, layers draw folds of `seed`: the same ones whenever it is opened.

    So the steps of a loop draw alike, and no seed leaves the loop.
    """
    _passes().append(_Folds(seed))
    try:
        yield
    finally:
        _passes().pop()


class _Pass:
    """One run of a recomputed layer; the first keeps its seeds for the second."""

    def __init__(self, seeds: list[Any], replays: bool) -> None:
        self.seeds, self.replays = seeds, replays
        self.at = self.updates = 0


class _Folds(_Pass):
    """A run whose draws are folds of one seed."""

    def __init__(self, seed: Any) -> None:
        super().__init__([], replays=False)
        self.seed = seed

    def next(self) -> Any:
        self.at += 1
        return folded(self.seed, self.at)


_local = threading.local()  # each replica is traced by a thread of its own


def _passes() -> list[_Pass]:
    if not hasattr(_local, "passes"):
        _local.passes = []
    return _local.passes


def _drawn(draw: Callable[[], Any], depth: int) -> Any:
    """What the innermost of `depth` nested passes draws."""
    if not depth:
        return draw()
    own = _passes()[depth - 1]
    if isinstance(own, _Folds):
        return own.next()
    if own.replays:
        own.at += 1
        return own.seeds[own.at - 1]
    own.seeds.append(_drawn(draw, depth - 1))
    return own.seeds[-1]


@contextmanager
def _recording(seeds: list[Any]) -> Iterator[None]:
    before = _assignments()
    own = _Pass(seeds, replays=False)
    _passes().append(own)
    try:
        yield
    finally:
        _passes().pop()
    if _assignments() - before > own.updates:
        raise ValueError(
            "a layer with recompute=True changes a variable that it may read as it runs (a "
            "stateful recurrent layer, say), so that running it again would give something else; "
            "set recompute on layers without such state."
        )


@contextmanager
def _replaying(seeds: list[Any]) -> Iterator[None]:
    _passes().append(_Pass(seeds, replays=True))
    try:
        yield
    finally:
        _passes().pop()


def _assignments() -> int:
    """Assignments in the graph being traced; none are seen in eager code."""
    if tf.executing_eagerly():
        return 0
    graph = tf.compat.v1.get_default_graph()
    return sum(op.type.startswith("Assign") for op in graph.get_operations())


def _after(x: tf.Tensor, upstream: Any) -> tf.Tensor:
    """`x`, but known only after `upstream` is.

    Without this, compilers find that the second run computes what the first did, and keep that.
    """
    first = next((dy for dy in upstream if dy is not None), None)
    if first is None or not x.dtype.is_floating:
        return x
    # 0, or NaN where the gradient is NaN already: no compiler may leave the addition away.
    one = tf.reduce_sum(tf.cast(tf.reshape(first, [-1])[:1], tf.float32))
    return x + tf.cast(tf.where(tf.equal(one, one), 0.0, float("nan")), x.dtype)
