"""A text table of the variables of any tf.Module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from .base import Layer
from .tree import collect


def summary(module: tf.Module) -> str:
    """A table of path, shape, parameters, trainable and dtype: one row a variable, then the sums.

    A variable that hangs at several places is listed once, at the first. `trainable` tells what an
    optimizer would train: a variable below a layer with `trainable = False` is not.

    Args:
        module: a `Layer` or any other `tf.Module`, built.

    Returns:
        The table, lines joined by newlines; print it.

    Raises:
        TypeError: if `module` is not a `tf.Module`.
    """
    if not isinstance(module, tf.Module):
        raise TypeError(
            f"module must be a tf.Module, got {type(module).__name__}; a Keras model has a "
            "summary() of its own"
        )
    trained = {id(v) for v in collect(module, trained_only=True)}
    rows = [("path", "shape", "parameters", "trainable", "dtype")]
    counts = {True: 0, False: 0}
    for path, variable in _named(module, "", set()):
        size = int(variable.shape.num_elements() or 0)
        if variable.shape.rank == 0:
            size = 1
        is_trained = id(variable) in trained
        counts[is_trained] += size
        shape = "x".join(str(s) for s in variable.shape) or "scalar"
        rows.append((path, shape, f"{size:,}", "yes" if is_trained else "no", variable.dtype.name))
    lines = _aligned(rows)
    total = counts[True] + counts[False]
    lines.append(
        f"{type(module).__name__}: {total:,} parameters, {counts[True]:,} trainable, "
        f"{counts[False]:,} not"
    )
    if isinstance(module, Layer) and not module.built:
        lines.append("not built yet: call it once on a batch to see all of its weights")
    return "\n".join(lines)


def _aligned(rows: list[tuple[str, str, str, str, str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = []
    for row in rows:
        # Numbers to the right, words to the left.
        cells = [
            cell.rjust(w) if i == 2 else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    rule = "-" * (sum(widths) + 2 * 4)
    return [lines[0], rule, *lines[1:], rule]


def _named(node: Any, path: str, seen: set[int]) -> Iterator[tuple[str, tf.Variable]]:
    """(path, variable) pairs, each variable and module once, in the order of attachment."""
    if isinstance(node, tf.Variable):
        if id(node) not in seen:
            seen.add(id(node))
            yield path, node
        return
    if isinstance(node, tf.Module):
        if id(node) in seen:
            return
        seen.add(id(node))
        ignored = node._TF_MODULE_IGNORED_PROPERTIES
        items = [
            (name, value)
            for name, value in vars(node).items()
            if name not in ignored and not name.startswith("_self_")
        ]
        # Own variables stand before the children's, as in `weights`.
        items.sort(key=lambda item: not isinstance(item[1], tf.Variable))
        for name, value in items:
            yield from _named(value, f"{path}.{name}" if path else name, seen)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _named(value, f"{path}[{key!r}]", seen)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _named(value, f"{path}[{i}]", seen)
