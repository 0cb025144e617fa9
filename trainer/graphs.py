"""Walks over traced graphs."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf


def operations(graph: tf.Graph) -> Iterator[tf.Operation]:
    """All operations of a graph and of the functions it calls, each function once."""
    seen: set[str] = set()
    graphs = [graph]
    while graphs:
        current = graphs.pop()
        for op in current.get_operations():
            yield op
            for name in called(op):
                if name in seen:
                    continue
                seen.add(name)
                inner = function_graph(current, name)
                if inner is not None:
                    graphs.append(inner)


def function_graph(graph: tf.Graph, name: str) -> tf.Graph | None:
    """The graph of a function that a graph knows by name; None if only its definition is there."""
    found = graph._get_function(name)  # no public way to the inner graph
    return getattr(found, "graph", None)


def called(op: tf.Operation) -> list[str]:
    """Names of the functions that an operation calls."""
    found = []
    for value in op.node_def.attr.values():
        if value.HasField("func"):
            found.append(value.func.name)
        found += [function.name for function in value.list.func]  # the branches of a Case
    return found
