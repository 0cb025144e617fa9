"""Memory of a step's activations, as its graph tells it."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from trainer import graphs

# Hand their input on as it is, or hold what is there anyway: variables, arguments, constants.
_SAME = {"Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "NoOp"}
_HELD = {"Placeholder", "Const", "ReadVariableOp", "VarHandleOp", "Shape"}


def peak_bytes(graph: tf.Graph) -> float:
    """The most bytes of intermediate values that are alive at once in a step, roughly.

    Operations are taken in the order in which they were traced, each value from where it is made
    to where it is used last. Values of unknown shape count nothing; a loop counts one turn. XLA
    fuses and so keeps less; TensorFlow's executor runs ahead and may keep more.
    """
    operations = graph.get_operations()
    owner: dict[int, int] = {}  # tensor -> the tensor that holds its memory
    last: dict[int, int] = {}
    size: dict[int, float] = {}
    for time, op in enumerate(operations):
        for x in op.inputs:
            last[owner.get(id(x), id(x))] = time
        for i, x in enumerate(op.outputs):
            if op.type in _SAME and i < len(op.inputs):
                owner[id(x)] = owner.get(id(op.inputs[i]), id(op.inputs[i]))
            else:
                owner[id(x)] = id(x)
                size[id(x)] = 0.0 if op.type in _HELD else _bytes(x)
    for x in graph.outputs:
        last[owner.get(id(x), id(x))] = len(operations)
    freed: dict[int, float] = {}
    for key, time in last.items():
        freed[time] = freed.get(time, 0.0) + size.get(key, 0.0)
    alive = peak = 0.0
    for time, op in enumerate(operations):
        made = [x for x in op.outputs if owner[id(x)] == id(x)]
        alive += sum(size[id(x)] for x in made)
        inner = max((peak_bytes(g) for g in _called(graph, op)), default=0.0)
        peak = max(peak, alive + inner)
        alive -= freed.get(time, 0.0)
        alive -= sum(size[id(x)] for x in made if id(x) not in last)
    return peak


def _called(graph: tf.Graph, op: tf.Operation) -> Iterator[tf.Graph]:
    for name in graphs.called(op):
        inner = graphs.function_graph(graph, name)
        if inner is not None:
            yield inner


def _bytes(x: tf.Tensor) -> float:
    count = x.shape.num_elements() if x.shape.rank is not None else None
    return float(count or 0) * max(x.dtype.size, 1) if x.dtype.is_numpy_compatible else 0.0
