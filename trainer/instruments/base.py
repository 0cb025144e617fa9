"""Instrument: says when a step is to be read, and what of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.callbacks.triggers import Every, Trigger


class Seen(NamedTuple):
    """One update, as an instrument sees it; entries of the lists belong together.

    Attributes:
        names: of the variables: paths in the model, "layers/0/kernel".
        gradients: as the optimizer was given them, dense; None where none arrives.
        before: the variables' values before the update.
        after: their values after it.
    """

    names: list[str]
    gradients: list[Any]
    before: list[tf.Tensor]
    after: list[tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Instrument:
    """Computes numbers from an update, inside the compiled step; override `__call__`.

    A callback declares its instruments in `Callback.instruments`. A step at which one is due is run
    by a program of its own, which computes what the instrument wants; all other steps are run by
    the very program that would run them without it, so they cost what they cost. What was read
    comes to the host with the step's other values and is in `report.readings`.

    Two instruments that are equal, as dataclasses are, are one: it is computed once.

    Attributes:
        when: a trigger whose `next` is known before the step: `Every(steps=100)`, `Every(epochs=1)`
            where the length of an epoch is known, `Every(seconds=60)`, `At(1, 1000)`.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class LargestGradient(Instrument):
        ...     def __call__(self, seen):
        ...         return {name: tf.reduce_max(tf.abs(gradient))
        ...                 for name, gradient in zip(seen.names, seen.gradients)}
        >>> LargestGradient(Every(steps=100)) == LargestGradient(Every(steps=100))
        True
    """

    when: Trigger = dataclasses.field(default_factory=lambda: Every(steps=100))

    def __call__(self, seen: Seen) -> Mapping[str, tf.Tensor]:
        """Name -> float tensor of a shape that is known when it is traced."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(seen).")
