"""JSON that gives back exactly what was put in, and reads hostile text safely.

Standard JSON has no infinities and no NaN. Here such a float is an object with the one key
`"$float"`: `"inf"`, `"-inf"`, `"nan"`, or `"nan:"` and the 16 hexadecimal digits of its bits for a
NaN other than the usual one. A key of one's own that begins with `$` is written with one more `$`.
Finite floats are written with all digits they need, integers whole, text as ASCII.
"""

from __future__ import annotations

import collections
import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any

DEPTH = 64  # objects and lists within each other, in a tree that is written
_READ_DEPTH = DEPTH + 8  # the file around the tree and the special floats in it come on top
_TOO_DEEP = f"it nests deeper than {DEPTH} levels"
_FLOAT = "$float"
_NAN = struct.unpack("<Q", struct.pack("<d", math.nan))[0]


def encode(tree: Any, where: str = "tree") -> Any:
    """A tree of standard JSON, ready for `json.dumps`, that `decode` turns back into `tree`.

    Args:
        tree: None, bool, int, float, str, and lists and dicts (with string keys) of them; a tuple
            is written as a list.
        where: what the tree is, for errors.

    Raises:
        TypeError: something else is in the tree.
        ValueError: it nests deeper than 64 levels, or holds itself.
    """
    return _encode(tree, where, DEPTH)


def decode(tree: Any) -> Any:
    """What `encode` was given.

    Raises:
        ValueError: `encode` would not have written this.
    """
    if isinstance(tree, list):
        return [decode(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if _FLOAT in tree:
        return _special(tree)
    for key in tree:
        if key.startswith("$") and not key.startswith("$$"):
            raise ValueError(f"an object has the unknown key {key[:80]!r}")
    return {key[1:] if key[0:1] == "$" else key: decode(item) for key, item in tree.items()}


def loads(text: bytes) -> Any:
    """Reads standard JSON, strictly; the result still has to be given to `decode`.

    Raises:
        ValueError: it is not JSON in UTF-8, nests deeper than 64 levels, has an object with one key
            twice, or a number that is not finite.
    """
    try:
        tree = json.loads(
            text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_real
        )
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check_depth(tree)
    return tree


def _encode(tree: Any, where: str, depth: int) -> Any:
    if tree is None or isinstance(tree, (bool, int, str)):
        return tree
    if isinstance(tree, float):
        return tree if math.isfinite(tree) else {_FLOAT: _name(tree)}
    if not isinstance(tree, (list, tuple, Mapping)):
        raise TypeError(
            f"{where} is a {type(tree).__name__}, which JSON cannot hold: only None, bool, int, "
            "float, str, list and dict can be written. Convert it first."
        )
    if depth == 0:
        raise ValueError(f"{where[:200]} nests deeper than {DEPTH} levels, or holds itself.")
    if not isinstance(tree, Mapping):
        return [_encode(item, f"{where}[{i}]", depth - 1) for i, item in enumerate(tree)]
    for key in tree:
        if not isinstance(key, str):
            raise TypeError(f"{where} has the key {key!r}; keys must be strings.")
    return {
        f"${key}" if key.startswith("$") else key: _encode(item, f"{where}[{key!r}]", depth - 1)
        for key, item in tree.items()
    }


def _bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def _name(value: float) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return "nan" if _bits(value) == _NAN else f"nan:{_bits(value):016x}"


def _special(tree: dict[str, Any]) -> float:
    name = tree[_FLOAT]
    if len(tree) == 1 and isinstance(name, str):
        if name in ("inf", "-inf", "nan"):
            return float(name)
        if re.fullmatch(r"nan:[0-9a-f]{16}", name):
            value = struct.unpack("<d", struct.pack("<Q", int(name[4:], 16)))[0]
            if math.isnan(value):
                return value
    raise ValueError(f"{str(tree)[:80]} is no float")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        counts = collections.Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise ValueError(f"an object has the key {twice[:80]!r} twice")
    return tree


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not standard JSON")


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:80]} is too large")
    return value


def _check_depth(tree: Any) -> None:
    level, depth = [tree], 0
    while level := [
        child
        for node in level
        if isinstance(node, (list, dict))
        for child in (node.values() if isinstance(node, dict) else node)
    ]:
        depth += 1
        if depth > _READ_DEPTH:
            raise ValueError(_TOO_DEEP)
