"""A text table of the variables of any tf.Module or Keras model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from .base import Layer
from .tree import collect


def summary(module: Any) -> str:
    """A table of path, shape, parameters, trainable, dtype and share of all parameters.

    One row a variable, then the sums.

    A variable that hangs at several places is listed once, at the first. `trainable` tells what an
    optimizer would train: a variable below a layer with `trainable = False` is not.

    Args:
        module: a `Layer`, any other `tf.Module` or a Keras model, built. A Keras variable is shown
            by its own path.

    Returns:
        The table, lines joined by newlines; print it.

    Raises:
        TypeError: if `module` is neither.
    """
    if isinstance(module, tf.Module):
        named: list[tuple[str, Any]] = list(_named(module, "", set()))
        trained = {id(v) for v in collect(module, trained_only=True)}
    elif hasattr(module, "trainable_variables") and hasattr(module, "variables"):
        named = [(getattr(v, "path", v.name), v) for v in module.variables]
        trained = {id(v) for v in module.trainable_variables}
    else:
        raise TypeError(f"module must be a tf.Module or a Keras model, got {module!r}")
    total = sum(_size(v) for _, v in named)
    rows = [("path", "shape", "parameters", "trainable", "dtype", "share")]
    counts = {True: 0, False: 0}
    for path, variable in named:
        size = _size(variable)
        is_trained = id(variable) in trained
        counts[is_trained] += size
        shape = "x".join(str(s) for s in variable.shape) or "scalar"
        share = f"{100 * size / total:.1f} %" if total else "-"
        dtype = tf.as_dtype(variable.dtype).name
        rows.append((path, shape, f"{size:,}", "yes" if is_trained else "no", dtype, share))
    lines = _aligned(rows)
    lines.append(
        f"{type(module).__name__}: {total:,} parameters, {counts[True]:,} trainable, "
        f"{counts[False]:,} not"
    )
    if isinstance(module, Layer) and not module.built:
        lines.append("not built yet: call it once on a batch to see all of its weights")
    return "\n".join(lines)


def _size(variable: Any) -> int:
    return math.prod(int(n) for n in variable.shape)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    columns = range(len(rows[0]))
    widths = [max(len(row[i]) for row in rows) for i in columns]
    lines = []
    for row in rows:
        # Numbers to the right, words to the left.
        cells = [
            cell.rjust(w) if rows[0][i] in ("parameters", "share") else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
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
