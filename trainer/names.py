"""Keras-style strings to objects: alone in naming the sibling packages, and only when asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def loss(identifier: Any) -> Any:
    """The loss that a string names, from `losses`; anything else as it is.

    Also of a mapping `{"class_name": ..., "config": {...}}`.
    """
    if not isinstance(identifier, (str, Mapping)):
        return identifier
    import losses

    return losses.get(identifier)


def optimizer(identifier: Any) -> Any:
    """The optimizer that a string names, from `optimizers`; anything else as it is."""
    if not isinstance(identifier, str):
        return identifier
    import optimizers

    return optimizers.get(identifier)
