"""Settings: what a task was made with, as plain values that workers can compare."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import state

OWN = ("trainer", "layers", "losses", "optimizers")
# Of one process alone: names are numbered by whoever makes more of a kind.
_LEFT = ("name", "_name", "built", "_built", "build_config", "build_input_shape")


def settings(root: Any) -> dict[str, Any]:
    """Path -> value of every number, word and function that objects below `root` keep.

    Asked are objects of ours, Keras's by their configuration, and what lists and dicts hold; plain
    attributes of anybody else's class are left out, as they may well say which worker it is. Of an
    optimizer its single numbers are read, of which the learning rate is one.

    Example:
        >>> import optimizers
        >>> settings(optimizers.SGD(0.5, momentum=0.9))["momentum"]
        0.9
    """
    return dict(_plain(root, "", set(), _ours(root)))


def _plain(value: Any, path: str, seen: set[int], counts: bool) -> Iterator[tuple[str, Any]]:
    """`counts`: whether a plain value here is a setting."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float, str, types.NoneType)):
        if counts:
            yield path, value
        return
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
        if counts:
            yield path, value.__qualname__
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    inner: Mapping[Any, Any] = {}
    if isinstance(value, Mapping):
        inner = value
    elif isinstance(value, (list, tuple)):
        inner = dict(enumerate(value))
    elif isinstance(value, functools.partial):
        inner = {"func": value.func, "args": value.args, **value.keywords}
    elif state.is_keras(value):
        yield from _of_keras(value, path)
    elif not isinstance(value, (tf.Variable, tf.Tensor)) and hasattr(value, "__dict__"):
        counts = _ours(value)
        inner = state.attributes(value)
        if state.is_optimizer(value):
            yield from _numbers(inner, path)
    for key, item in inner.items():
        if key not in _LEFT:
            yield from _plain(item, f"{path}/{key}" if path else str(key), seen, counts)


def _numbers(attributes: Mapping[str, Any], path: str) -> Iterator[tuple[str, float]]:
    for key, value in attributes.items():
        if isinstance(value, tf.Variable) and value.shape.rank == 0 and value.dtype.is_floating:
            name = key.lstrip("_")
            yield f"{path}/{name}" if path else name, float(value.numpy())


def _of_keras(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    try:
        config = value.get_config()
    except (AttributeError, NotImplementedError, TypeError):
        return  # a model of one's own need not have any
    yield from _plain(config, path, set(), True)


def _ours(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in OWN
