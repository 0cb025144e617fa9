"""Slots of one optimizer for another: what fits is copied, and all of it is told."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from optimizers.base import Optimizer


class Adopted(NamedTuple):
    """What `adopt_slots` did, as lists of "variable/slot".

    Attributes:
        copied: Slots that now hold the source's values.
        fresh: Slots of the target that the source does not have; they stay as they were.
        unfit: Slots that both have in different shapes, with the shapes; they stay as they were.
        unused: Slots of the source that the target does not have.
    """

    copied: list[str]
    fresh: list[str]
    unfit: list[str]
    unused: list[str]

    def __str__(self) -> str:
        lines = [
            f"{len(found)} {label}: {', '.join(found[:8])}{', ...' if len(found) > 8 else ''}"
            for label, found in zip(
                ("copied", "fresh, not in the source", "of another shape", "not in the target"),
                self,
                strict=True,
            )
            if found
        ]
        return "\n".join(lines) or "nothing to copy"


def adopt_slots(target: Optimizer, source: Optimizer) -> Adopted:
    """Copies the slots of `source` that `target` has too, and the number of updates.

    Variables are matched by identity, else by name; slots by name. The learning rate and the rest
    of the settings stay the target's. Both must be built.

    Example:
        >>> import optimizers
        >>> weight = tf.Variable([1.0], name="w")
        >>> sgd, adam = optimizers.SGD(0.1, 0.9), optimizers.Adam()
        >>> sgd.apply([tf.constant([1.0])], [weight])
        >>> adam.build([weight])
        >>> print(optimizers.adopt_slots(adam, sgd))
        1 copied: w/momentum
        1 fresh, not in the source: w/velocity
    """
    report = Adopted([], [], [], [])
    old = _slots(source)
    by_name = {label: key for key, (label, _) in old.items()}
    used = set()
    for key, (label, slot) in _slots(target).items():
        origin = key if key in old else by_name.get(label)
        if origin is None:
            report.fresh.append(label)
            continue
        used.add(origin)
        value = old[origin][1]
        if value.shape != slot.shape:
            report.unfit.append(f"{label} {value.shape} -> {slot.shape}")
            continue
        slot.assign(tf.cast(value, slot.dtype))
        report.copied.append(label)
    report.unused.extend(label for key, (label, _) in old.items() if key not in used)
    target.iterations.assign(source.iterations)
    return report


def _slots(optimizer: Optimizer) -> dict[Any, tuple[str, tf.Variable]]:
    """(variable, slot's name) -> (label, slot)."""
    return {
        (weight.ref(), slot): (f"{name}/{slot}", value)
        for slot, values in optimizer.slots.items()
        for name, weight, value in zip(
            optimizer.weight_names, optimizer.weights, values, strict=True
        )
        if value is not None
    }
