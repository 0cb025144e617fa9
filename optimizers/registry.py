"""From a name to an optimizer: `optimizers.get`."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from optimizers import (
    adabelief,
    adadelta,
    adafactor,
    adagrad,
    adam,
    adamax,
    ademamix,
    adopt,
    ftrl,
    lamb,
    lars,
    lion,
    muon,
    nadam,
    prodigy,
    radam,
    rmsprop,
    schedule_free,
    sgd,
    shampoo,
    soap,
    sophia,
    yogi,
)
from optimizers.base import Optimizer

_RULES = (
    sgd,
    rmsprop,
    adam,
    adamax,
    nadam,
    adagrad,
    adadelta,
    ftrl,
    lion,
    adafactor,
    lamb,
    lars,
    muon,
    schedule_free,
    radam,
    adabelief,
    yogi,
    ademamix,
    adopt,
    prodigy,
    sophia,
    shampoo,
    soap,
)


def get(identifier: Any) -> Any:
    """An optimizer from its name, or as it is.

    Args:
        identifier: A name in any case ("adam", "AdamW", "rmsprop"), a mapping
            `{"class_name": ..., "config": {...}}`, an optimizer class, or an object with
            `apply(grads, variables)` (returned unchanged).

    Raises:
        ValueError: no optimizer has that name.
        TypeError: `identifier` is none of these.

    Example:
        >>> get("adam").name
        'adam'
    """
    if isinstance(identifier, str):
        return _class(identifier)()
    if isinstance(identifier, Mapping):
        return _class(identifier["class_name"])(**identifier.get("config", {}))
    if inspect.isclass(identifier) and issubclass(identifier, Optimizer):
        return identifier()
    if callable(getattr(identifier, "apply", None)):
        return identifier
    raise TypeError(
        f"optimizer={identifier!r} is neither a name nor an object with apply(grads, variables)."
    )


def names() -> list[str]:
    """Every name that `get` knows, as its class is written."""
    return sorted(cls.__name__ for cls in _classes().values())


def _classes() -> dict[str, type[Optimizer]]:
    found = {}
    for module in _RULES:
        for name, value in vars(module).items():
            own = inspect.isclass(value) and value.__module__ == module.__name__
            if own and issubclass(value, Optimizer):
                found[name.lower()] = value
    return found


def _class(name: str) -> type[Optimizer]:
    classes = _classes()
    key = name.lower().replace("_", "")
    if key not in classes:
        near = difflib.get_close_matches(key, classes, n=3)
        hint = (
            f"did you mean {' or '.join(repr(classes[n].__name__) for n in near)}?"
            if near
            else f"known: {names()}."
        )
        raise ValueError(f"optimizer={name!r} is unknown; {hint}")
    return classes[key]
