"""Walks over a tree of modules in the order in which its parts were attached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf


def own_parts(module: tf.Module) -> tuple[list[tf.Variable], list[tf.Module]]:
    """The variables and the modules that hang directly on `module`, in the order of attachment."""
    variables: list[tf.Variable] = []
    children: list[tf.Module] = []
    ignored = module._TF_MODULE_IGNORED_PROPERTIES
    for name, value in vars(module).items():
        if name in ignored or name.startswith("_self_"):
            continue
        for leaf in _leaves(value):
            if isinstance(leaf, tf.Variable):
                variables.append(leaf)
            elif isinstance(leaf, tf.Module):
                children.append(leaf)
    return variables, children


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def collect(module: tf.Module, *, trained_only: bool) -> list[tf.Variable]:
    """Variables in Keras's order: own trainable, own others, then the children's, each once."""
    found: dict[int, tf.Variable] = {}
    visited: set[int] = set()

    def visit(node: tf.Module) -> None:
        if id(node) in visited or (trained_only and not getattr(node, "trainable", True)):
            return
        visited.add(id(node))
        variables, children = own_parts(node)
        for v in variables:
            if v.trainable:
                found.setdefault(id(v), v)
        if not trained_only:
            for v in variables:
                found.setdefault(id(v), v)
        for child in children:
            visit(child)

    visit(module)
    return list(found.values())


def penalties(module: tf.Module, visited: set[int]) -> Iterator[tf.Tensor]:
    """The regularisers' scalars of the trained weights of `module` and of all below it."""
    if id(module) in visited or not getattr(module, "trainable", True):
        return
    visited.add(id(module))
    for attribute, penalty in getattr(module, "_regularizers", {}).items():
        weight = getattr(module, attribute, None)
        if weight is not None:
            yield tf.cast(penalty(tf.convert_to_tensor(weight)), tf.float32)
    for child in own_parts(module)[1]:
        yield from penalties(child, visited)
