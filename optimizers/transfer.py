"""Slots of one optimizer for another: what fits is copied, and all of it is told."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.variables import name_of

LABELS = (
    "copied",
    "fresh, not in the source",
    "of another shape",
    "not in the target",
    "of another meaning",
)


class Adopted(NamedTuple):
    """What `adopt_slots` did, as lists of "variable/slot" (or the name of a rule's own variable).

    Attributes:
        copied: Slots that now hold the source's values.
        fresh: Slots of the target that the source does not have; they stay as they were.
        unfit: Slots that both have in different shapes, with the shapes; they stay as they were.
        unused: Slots of the source that the target does not have.
        unlike: Slots of one name that hold different things, such as the momentum of `SGD` (a step
            to add) and that of `Adam` (a mean of gradients); they stay as they were.
    """

    copied: list[str]
    fresh: list[str]
    unfit: list[str]
    unused: list[str]
    unlike: list[str]

    def __str__(self) -> str:
        lines = [
            f"{len(found)} {label}: {', '.join(found[:8])}{', ...' if len(found) > 8 else ''}"
            for label, found in zip(LABELS, self, strict=True)
            if found
        ]
        return "\n".join(lines) or "nothing to copy"


def adopt_slots(target: Optimizer, source: Optimizer) -> Adopted:
    """Copies the slots of `source` that `target` has too, and the number of updates.

    Variables are matched by identity, else by name; slots by name, where both rules keep the same
    thing under it: rules of one class do, others where their `slot_meanings` agree. Between rules
    of one class, what belongs to the rule as a whole is copied too (as `Nadam`'s product of
    momenta). The learning rate and the rest of the settings stay the target's. Schedules and bias
    corrections go on from the source's number of updates; slots that are fresh are corrected as if
    they were as old, and so start a little fast or slow: set `target.iterations` to 0 where most
    are.

    Raises:
        TypeError: one of them is a wrapper or `Groups`, which keep no slots of a rule.
        ValueError: one of them is not built.

    Example:
        >>> import optimizers
        >>> weight = tf.Variable([1.0], name="w")
        >>> adam, lion = optimizers.Adam(), optimizers.Lion()
        >>> adam.apply([tf.constant([1.0])], [weight])
        >>> lion.build([weight])
        >>> print(optimizers.adopt_slots(lion, adam))
        1 copied: w/momentum
        1 not in the target: w/velocity
    """
    for argument, optimizer in (("target", target), ("source", source)):
        _check(argument, optimizer)
    report = Adopted([], [], [], [], [])
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
        if _meaning(target, key[1]) != _meaning(source, key[1]):
            report.unlike.append(label)
        elif value.shape != slot.shape:
            report.unfit.append(f"{label} {value.shape} -> {slot.shape}")
        else:
            slot.assign(tf.cast(value, slot.dtype))
            report.copied.append(label)
    report.unused.extend(label for key, (label, _) in old.items() if key not in used)
    _adopt_rule(target, source, report)
    target.iterations.assign(source.iterations)
    return report


def _adopt_rule(target: Optimizer, source: Optimizer, report: Adopted) -> None:
    """The variables of the rules as wholes."""
    new = {name_of(v): v for v in target.extra_variables()}
    old = {name_of(v): v for v in source.extra_variables()}
    alike = type(target) is type(source)
    for name, variable in new.items():
        if name not in old or not alike:
            report.fresh.append(name)
            continue
        variable.assign(old[name])
        report.copied.append(name)
    report.unused.extend(name for name in old if name not in new or not alike)


def _check(argument: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{argument}={getattr(optimizer, 'name', optimizer)!r} is a "
            f"{type(optimizer).__name__}, which is no rule with slots: give the optimizer within "
            "(`.optimizer` of a wrapper, `.optimizers[pattern]` of Groups)."
        )
    if not optimizer.built:
        raise ValueError(
            f"{argument}={optimizer.name!r} is not built and so has no slots: call "
            "build(variables), or restore it, first."
        )


def _meaning(optimizer: Optimizer, slot: str) -> Any:
    """What a slot holds; where nothing is said, something that its class alone knows."""
    if slot == "average":
        return slot
    return optimizer.slot_meanings.get(slot, type(optimizer))


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
