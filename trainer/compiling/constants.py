"""Values that XLA must know when it compiles: where they change with the step, so does the code.

`tf.function` traces once, and XLA still compiles anew for each value of such an input: 0.7 s a step
in place of a millisecond, without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from trainer import graphs
from trainer.compiling.refused import layer_of

# Operation -> the inputs whose values XLA's kernels for TensorFlow ask for when they compile.
_CONSTANT_INPUTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(["Slice", "StridedSlice", "LinSpace", "Range"], (0, 1, 2, 3)),
    **dict.fromkeys(["Fill", "Empty", "TensorListReserve", "EmptyTensorList"], (0, 1)),
    **dict.fromkeys(["Reshape", "Tile", "BroadcastTo", "Pad", "PadV2", "MirrorPad"], (1,)),
    **dict.fromkeys(["Sum", "Mean", "Max", "Min", "Prod", "All", "Any"], (1,)),
    **dict.fromkeys(["ArgMax", "ArgMin", "Cumsum", "Cumprod", "Transpose", "ReverseV2"], (1,)),
    **dict.fromkeys(["OneHot", "TopKV2", "ExpandDims", "Bincount", "ResizeBilinear"], (1,)),
    **dict.fromkeys(["ResizeNearestNeighbor", "Multinomial"], (1,)),
    **dict.fromkeys(["StatelessMultinomial", "SplitV"], (1, 2)),
    **dict.fromkeys(["Split"], (0,)),
    **dict.fromkeys(["ConcatV2"], (-1,)),
    **dict.fromkeys(["Roll"], (2,)),
    **dict.fromkeys(["StridedSliceGrad"], (0, 1, 2, 3)),
    **dict.fromkeys(["UnsortedSegmentSum", "UnsortedSegmentMax", "GatherV2", "ScatterNd"], (2,)),
    **dict.fromkeys(["RandomUniform", "RandomStandardNormal", "TruncatedNormal"], (0,)),
    **dict.fromkeys(["StatelessRandomUniform", "StatelessRandomUniformV2"], (0,)),
    **dict.fromkeys(["StatelessRandomNormal", "StatelessRandomNormalV2"], (0,)),
    **dict.fromkeys(["StatelessTruncatedNormal", "StatelessTruncatedNormalV2"], (0,)),
    **dict.fromkeys(["StatelessRandomUniformFullIntV2", "StatelessRandomUniformIntV2"], (0,)),
}
_DATA_INPUTS = {"Slice": (0,), "StridedSlice": (0,), "Fill": (1,), "GatherV2": (0, 1)}
# What calls functions -> how many of its inputs are not handed to them.
_CALLS = {
    **dict.fromkeys(["PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile"], 0),
    **dict.fromkeys(["If", "StatelessIf", "Case", "StatelessCase"], 1),
}
# What is known from a tensor's shape alone.
_STATIC = ("Shape", "ShapeN", "Size", "Rank")


class Dependence(NamedTuple):
    """An operation that XLA compiles anew for each value it sees.

    Attributes:
        op: its type.
        layer: the layer that uses it.
        argument: position among the graph's inputs of what it depends on.
    """

    op: str
    layer: str
    argument: int

    def __str__(self) -> str:
        return f"{self.op} in {self.layer}"


def dependences(graph: tf.Graph) -> list[Dependence]:
    """Operations of a step whose compile-time inputs depend on the step's arguments.

    Inputs that depend on a loop's own counter are not among them: in the body of a loop XLA has to
    find another way, or refuses.

    Args:
        graph: a traced function's; captured variables do not count as arguments.
    """
    own = {id(x): i for i, x in enumerate(graph.inputs)}
    captured = {id(x) for x in graph.internal_captures}
    arguments = {key: i for key, i in own.items() if key not in captured}
    found: dict[Dependence, None] = {}
    for op, value in _asked_for(graph):
        for root in _roots(value):
            if id(root) in arguments:
                entry = Dependence(op.type, layer_of(op.name), arguments[id(root)])
                found[entry] = None
    return list(found)


def said(graph: tf.Graph) -> str:
    """What XLA would compile anew for each value, in a line; "" if nothing."""
    found = sorted({str(one) for one in dependences(graph)})
    if not found:
        return ""
    return (
        f"XLA compiles a step anew for each value that {', '.join(found[:3])} gets as a shape, "
        "size or begin; read rows with tf.gather, and keep shapes fixed"
    )


def _asked_for(graph: tf.Graph) -> Iterator[tuple[tf.Operation, tf.Tensor]]:
    """(operation, input) for each value asked for at compile time, of the functions called too."""
    for op in graph.get_operations():
        for index in _CONSTANT_INPUTS.get(op.type, ()):
            if -1 <= index < len(op.inputs) and index not in _DATA_INPUTS.get(op.type, ()):
                yield op, op.inputs[index]
        if op.type in _CALLS:
            yield from _asked_by_call(op)


def _asked_by_call(call: tf.Operation) -> Iterator[tuple[tf.Operation, tf.Tensor]]:
    """Those of the functions it calls that lead back to what they were called with."""
    kept = _kept(call)
    for name in graphs.called(call):
        inner = graphs.function_graph(call.graph, name)
        if inner is None:
            continue
        places = {id(x): i for i, x in enumerate(inner.inputs) if kept is None or i in kept}
        for op, value in _asked_for(inner):
            for root in _roots(value):
                if id(root) in places:
                    yield op, call.inputs[places[id(root)] + _CALLS[call.type]]


def _kept(call: tf.Operation) -> set[int] | None:
    """Which values of a loop stay what they were, turn by turn; None for what is no loop."""
    if call.type not in ("While", "StatelessWhile"):
        return None
    body = graphs.function_graph(call.graph, call.get_attr("body").name)
    if body is None:
        return set()
    pairs = enumerate(zip(body.inputs, body.outputs, strict=True))
    return {i for i, (before, after) in pairs if _behind(after) is before}


def _behind(value: tf.Tensor) -> tf.Tensor:
    while value.op.type == "Identity":
        value = value.op.inputs[0]
    return value


def _roots(value: tf.Tensor) -> Iterable[tf.Tensor]:
    """The placeholders that a value is computed from; none where its shape alone is asked for."""
    seen: set[Any] = set()
    waiting = [value]
    while waiting:
        tensor = waiting.pop()
        op = tensor.op
        if op.name in seen:
            continue
        seen.add(op.name)
        if op.type == "Placeholder":
            yield tensor
        elif op.type in _STATIC and all(x.shape.is_fully_defined() for x in op.inputs):
            continue
        elif op.type not in ("ReadVariableOp", "While", "StatelessWhile"):
            waiting.extend(op.inputs)
