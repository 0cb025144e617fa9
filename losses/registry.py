"""From a name to a loss: `losses.get`."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from losses.base import FunctionLoss, Loss, snake_case

# By path: `from losses import hinge` gives the function of that name.
_MODULES = [
    importlib.import_module(f"losses.{name}")
    for name in ("regression", "classification", "focal", "hinge")
]

SHORT_NAMES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "huber_loss": "huber",
    "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity",
}


def get(identifier: Any) -> Any:
    """A loss from its name, from a function, or as it is.

    Args:
        identifier: A name ("mean_squared_error", "MeanSquaredError", "mse", ...), a mapping
            `{"class_name": ..., "config": {...}}`, a loss class, a function
            `(y_true, y_pred) -> values`, or an object with a `call` method (returned unchanged).

    Returns:
        An object with `call(y_true, y_pred)`, `reduction` and `name`.

    Raises:
        ValueError: no loss has that name.
        TypeError: `identifier` is none of these.

    Example:
        >>> get("mse").name
        'mean_squared_error'
    """
    if isinstance(identifier, str):
        return _class(identifier)()
    if isinstance(identifier, Mapping):
        return _class(identifier["class_name"])(**identifier.get("config", {}))
    if inspect.isclass(identifier):
        identifier = identifier()
    if callable(getattr(identifier, "call", None)):
        return identifier
    if callable(identifier):
        return FunctionLoss(function=identifier)
    raise TypeError(
        f"loss={identifier!r} is neither a name, a Loss nor a function (y_true, y_pred) -> values."
    )


def names() -> list[str]:
    """Every name that `get` knows, in snake case."""
    return sorted(_classes())


def _classes() -> dict[str, type[Loss]]:
    found = {}
    for module in _MODULES:
        for name, value in vars(module).items():
            if (
                inspect.isclass(value)
                and issubclass(value, Loss)
                and value.__module__ == module.__name__
            ):
                found[snake_case(name)] = value
    return found


def _class(name: str) -> type[Loss]:
    classes = _classes()
    key = snake_case(name) if name != name.upper() else name.lower()
    key = SHORT_NAMES.get(key, key)
    if key not in classes:
        near = difflib.get_close_matches(key, [*classes, *SHORT_NAMES], n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {names()}."
        raise ValueError(f"loss={name!r} is unknown; {hint}")
    return classes[key]
