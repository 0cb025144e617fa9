"""Which layers compute their activations again in the backward pass, told by a pattern of paths."""

from __future__ import annotations

import re
from typing import Any

from trainer import state


def mark(root: Any, pattern: str | None) -> list[str]:
    """Sets `recompute` on the layers whose path matches; gives their paths.

    A layer below one that matches is left alone: the outer one recomputes it too.

    Args:
        root: a task or a model.
        pattern: a regular expression that a path such as "model/layers/3" must match as a whole;
            None changes nothing.

    Raises:
        ValueError: it is no regular expression, or no layer that can recompute matches.
    """
    if pattern is None:
        return []
    try:
        wanted = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"recompute={pattern!r} is no regular expression: {error}.") from None
    able = {path: node for path, node in state.walk(root) if hasattr(node, "recompute")}
    found: list[str] = []
    for path, layer in able.items():
        if wanted.fullmatch(path) and not any(path.startswith(f"{f}/") for f in found):
            layer.recompute = True
            found.append(path)
    if not found:
        known = ", ".join(able) or "none; a Keras layer recomputes inside keras.RematScope"
        raise ValueError(
            f"recompute={pattern!r} matches the path of no layer that can recompute. They are: "
            f"{known}."
        )
    return found
