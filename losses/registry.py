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
    for name in (
        "regression",
        "classification",
        "focal",
        "robust",
        "hinge",
        "segmentation",
        "boxes",
        "ctc",
        "embeddings",
        "matching",
        "distillation",
        "ranking",
    )
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
    """The public classes, each under the name of its function where it has one."""
    found = {}
    for module in _MODULES:
        here = {name: value for name, value in vars(module).items() if name[0] != "_"}
        functions = {
            _letters(name): name for name, value in here.items() if inspect.isfunction(value)
        }
        for name, value in here.items():
            if (
                inspect.isclass(value)
                and issubclass(value, Loss)
                and value.__module__ == module.__name__
                and value.call is not Loss.call  # a base of others
            ):
                found[functions.get(_letters(name), snake_case(name))] = value
    return found


def _class(name: str) -> type[Loss]:
    classes = _classes()
    known = {_letters(key): key for key in classes}
    known.update({_letters(short): key for short, key in SHORT_NAMES.items()})
    if _letters(name) not in known:
        near = difflib.get_close_matches(snake_case(name), [*classes, *SHORT_NAMES], n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {names()}."
        raise ValueError(f"loss={name!r} is unknown; {hint}")
    return classes[known[_letters(name)]]


def _letters(name: str) -> str:
    """What is left of a name in either spelling: "GIoU" and "giou" are one."""
    return name.replace("_", "").lower()
