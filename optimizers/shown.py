"""An optimizer as text: what it was made with, and its learning rate as it is now."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import tensorflow as tf


def shown(optimizer: Any) -> str:
    """`Adam(learning_rate=0.001)`: the rate, what is wrapped, and what is not as by default."""
    return f"{type(optimizer).__name__}({', '.join(_arguments(optimizer))})"


def _arguments(optimizer: Any) -> Iterator[str]:
    for name, parameter in inspect.signature(type(optimizer)).parameters.items():
        # The rate and the decay are properties, which give what a schedule says by now.
        value = vars(optimizer).get(f"_{name}", getattr(optimizer, name, None))
        if isinstance(value, tf.Variable):  # inside a trace it has no value to show
            value = float(f"{value.numpy():.6g}") if tf.executing_eagerly() else value.name
        if name == "optimizer":
            yield repr(value)
        elif name == "learning_rate":
            yield f"learning_rate={value!r}"
        elif name != "name" and value not in (None, (), parameter.default):
            yield f"{name}={value!r}"
