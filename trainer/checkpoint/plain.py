"""Plain values to and from a checkpoint: a JSON tree, with its arrays beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_TAG = "$"  # marks what JSON has no words for: {"$": "array", ...} or {"$": "tuple", ...}


def pack(tree: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """Takes a nest of plain values apart.

    Args:
        tree: dicts with string keys, lists, tuples, numbers, strings, None, NumPy arrays and
            tensors.
        name: path under which the arrays are to be kept.

    Returns:
        The tree as JSON can hold it (floats that are not finite included, as Python's own), and
        path -> array or tensor.

    Raises:
        TypeError: something is of another kind; the message says where it is.
    """
    arrays: dict[str, Any] = {}

    def walk(value: Any, path: str) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (np.bool_, np.integer, np.floating)):
            return value.item()
        if isinstance(value, (np.ndarray, tf.Tensor)):
            arrays[path] = value
            return {_TAG: "array", "path": path}
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str) or key == _TAG:
                    raise TypeError(
                        f"{path} has the key {key!r}; a checkpoint holds dicts with keys that are "
                        f"strings other than {_TAG!r}."
                    )
            return {key: walk(part, f"{path}/{key}") for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            parts = [walk(part, f"{path}/{i}") for i, part in enumerate(value)]
            return parts if isinstance(value, list) else {_TAG: "tuple", "parts": parts}
        raise TypeError(
            f"{path} is a {type(value).__name__}; a checkpoint holds numbers, strings, None, "
            "arrays, and lists, tuples and dicts of these."
        )

    return walk(tree, name), arrays


def paths(packed: Any) -> list[str]:
    """The paths of the arrays that a packed tree refers to."""
    if isinstance(packed, Mapping):
        if packed.get(_TAG) == "array":
            return [packed["path"]]
        return [path for part in packed.values() for path in paths(part)]
    if isinstance(packed, list):
        return [path for part in packed for path in paths(part)]
    return []


def unpack(packed: Any, arrays: Mapping[str, Any]) -> Any:
    """Puts together what `pack` took apart; arrays come back as NumPy arrays."""
    if isinstance(packed, Mapping):
        kind = packed.get(_TAG)
        if kind == "array":
            return np.asarray(arrays[packed["path"]])
        if kind == "tuple":
            return tuple(unpack(part, arrays) for part in packed["parts"])
        return {key: unpack(part, arrays) for key, part in packed.items()}
    if isinstance(packed, list):
        return [unpack(part, arrays) for part in packed]
    return packed
