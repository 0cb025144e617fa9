"""How the variables of one update are moved: by kernels, or all of them in one XLA program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import tensorflow as tf

from optimizers.slots import Item
from optimizers.variables import has_handle

ANY = float("inf")
"""For rules that treat each number by itself."""
NORMS = 20_000
"""For rules with sums over a variable: XLA on a CPU sums on one thread, TensorFlow on all."""
MOST = 100
"""Variables of one program: what starting it takes grows faster than their number."""


class Moves(Protocol):
    """What an optimizer has for it, see `Optimizer`."""

    fused: bool
    compiles_up_to: float

    def update_sparse(self, item: Item) -> bool:
        """Whether a sparse gradient was applied as it is."""
        ...

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """Whether a kernel of TensorFlow's moved the variable."""
        ...

    def update(self, item: Item, scalars: Mapping[str, Any]) -> None:
        """Move the variable by the rule as it is written."""
        ...


def move(
    optimizer: Moves, items: Sequence[Item], scalars: Mapping[tf.DType, Mapping[str, Any]]
) -> None:
    """Move variables: each by a sparse update or a kernel where there is one, the rest by the rule.

    With `fused`, those up to the size of `compiles_up_to` make one program for each device, or
    several of up to `MOST` variables.

    Args:
        optimizer: Whose rule it is.
        items: The variables; their gradients are dense afterwards, where that is needed.
        scalars: What the rule's `scalars` gave, by dtype.
    """
    rest = [item for item in items if not _by_kernel(optimizer, item, scalars[item.dtype])]
    limit = optimizer.compiles_up_to if optimizer.fused else 0
    programs: dict[str, list[Item]] = {}
    for item in rest:
        device = _one_device(item)
        if device is not None and item.variable.shape.num_elements() <= limit:
            programs.setdefault(device, []).append(item)
        else:
            optimizer.update(item, scalars[item.dtype])
    for device, small in programs.items():
        for first in range(0, len(small), MOST):
            part = small[first : first + MOST]
            with tf.device(device):
                in_one_program(functools.partial(_written, optimizer, part, scalars))


def in_one_program(update: Callable[[], None]) -> None:
    """Run what moves variables; within a graph, as one program of XLA's.

    A rule that is written in operations starts a dozen of them for each variable, and each goes
    over memory. XLA makes one loop of them. Within a program of XLA's, this one is part of it;
    eagerly it would be compiled at each call, and is run as it is.

    Args:
        update: Reads and assigns variables; made of what XLA can compile.
    """
    if tf.executing_eagerly():
        update()
    else:
        tf.function(update, autograph=False, jit_compile=True)()


def _written(
    optimizer: Moves, items: Sequence[Item], scalars: Mapping[tf.DType, Mapping[str, Any]]
) -> None:
    for item in items:
        optimizer.update(item, scalars[item.dtype])


def _one_device(item: Item) -> str | None:
    """Where the variable and its slots are, if that is one place, as XLA wants it."""
    variables = [item.variable, *item.slots.values()]
    if any(hasattr(v, "values") for v in variables):  # a distributed one as a whole
        return None
    devices = {v.device for v in variables}
    return devices.pop() if len(devices) == 1 else None


def _by_kernel(optimizer: Moves, item: Item, scalars: Mapping[str, Any]) -> bool:
    rows = isinstance(item.gradient, tf.IndexedSlices) and item.plain()
    if rows and optimizer.update_sparse(item):
        return True
    item.densify()
    in_place = item.plain() and has_handle(item.variable)
    return optimizer.fused and in_place and optimizer.kernel(item, scalars)
