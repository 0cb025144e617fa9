"""What the repr of a layer shows."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from . import initializers


def shown_arguments(layer: Any) -> Iterator[str]:
    """The constructor's arguments that are kept as attributes and differ from their defaults."""
    for parameter in list(inspect.signature(type(layer).__init__).parameters.values())[1:]:
        missing = parameter.default is inspect.Parameter.empty
        if parameter.name == "name" or not hasattr(layer, parameter.name):
            continue
        value = getattr(layer, parameter.name)
        if missing or not _is_default(parameter.name, value, parameter.default):
            yield f"{parameter.name}={_shown(value)}"


def _is_default(name: str, value: Any, default: Any) -> bool:
    if name.endswith("_initializer"):
        return bool(initializers.get(value) == initializers.get(default))
    if callable(value):
        return getattr(value, "__name__", None) == ("linear" if default is None else default)
    if isinstance(value, tuple) and isinstance(default, int):
        return all(v == default for v in value)
    try:
        return bool(value == default)
    except (TypeError, ValueError):  # an array: it has no one truth
        return False


def _shown(value: Any) -> str:
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, list):
        return repr(list(value))  # not as the wrapper that tf.Module makes of it
    return repr(getattr(value, "__name__", value))
