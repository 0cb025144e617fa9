"""What is set on an optimizer before it is built: exclusions, multipliers, compact slots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from optimizers.variables import Roster, unwrap


class Settings:
    """Choices for some of the variables, kept until `build` knows the variables."""

    slots_of_weights: tuple[str, ...]
    slots_of_sides: tuple[str, ...]

    def __init__(self) -> None:
        self._undecayed: tuple[list, list[str]] = ([], [])
        self._factors: list[tuple[float, list, list[str]]] = []
        self._compact: frozenset[str] | None = None

    @property
    def built(self) -> bool:
        """Whether the slots exist."""
        raise NotImplementedError

    def exclude_from_weight_decay(
        self, var_list: Iterable[Any] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Spare variables the weight decay; call it before `build`.

        Args:
            var_list: Variables to spare.
            var_names: Regular expressions; a variable is spared when one is found in its name
                ("dense/bias"). One that is found in no name is an error at `build`.
        """
        self._before_build("exclude_from_weight_decay")
        self._undecayed = ([unwrap(v) for v in var_list or ()], list(var_names or ()))

    def multiply_learning_rate(
        self,
        factor: float,
        var_list: Iterable[Any] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Multiply the learning rate (and so the decay) of some variables; before `build`.

        Args:
            factor: At least 0. The last call that names a variable counts.
            var_list: The variables.
            var_names: Regular expressions, as in `exclude_from_weight_decay`.
        """
        self._before_build("multiply_learning_rate")
        if not 0.0 <= factor < float("inf"):
            raise ValueError(f"factor={factor} must be finite and at least 0.")
        listed = [unwrap(v) for v in var_list or ()]
        self._factors.append((factor, listed, list(var_names or ())))

    def store_slots(self, dtype: Any, slots: Iterable[str] | None = None) -> None:
        """Keep slots in bfloat16 at half the memory; call it before `build`.

        Rules go on to compute in the variables' dtype; what they store is rounded stochastically
        (see `slots.stochastic_round`), so that slow means keep moving. Slots that are weights stay
        as they are: the average, `ScheduleFreeAdamW`'s z ("momentum"), `Ftrl`'s "linear" (weights
        are made of it anew at each update), `Prodigy`'s "initial".

        Args:
            dtype: "bfloat16".
            slots: Names of the slots; None: all of those with the shape of their variable (not the
                bases and roots of a side, which on a square have it too). One that the optimizer
                does not have, or that is weights, is an error at `build`.
        """
        self._before_build("store_slots")
        if tf.as_dtype(dtype) != tf.bfloat16:
            raise ValueError(f"dtype={dtype!r} must be 'bfloat16': others would not round well.")
        self._compact = frozenset(slots or ())

    def settle(self, roster: Roster, first: int = 0) -> None:
        """Mark the variables that the settings name, from number `first` on.

        The patterns go on to count for variables that come later, and may then match none.
        """
        for i in roster.select(*self._undecayed, "exclude_from_weight_decay", first):
            roster.decays[i] = False
        for factor, listed, patterns in self._factors:
            for i in roster.select(listed, patterns, "multiply_learning_rate", first):
                roster.factors[i] = factor
        # The lists hold the model's variables, which are not the optimizer's own.
        self._undecayed = [], self._undecayed[1]
        self._factors = [(factor, [], patterns) for factor, _, patterns in self._factors]

    def stored(self, slot: str, value: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        """The first value of a slot in the dtype it is kept in."""
        if self._compact is None or value.dtype != tf.float32:
            return value
        whole = value.shape == variable.shape and not self._compact
        whole = whole and slot not in ("average", *self.slots_of_weights, *self.slots_of_sides)
        return tf.cast(value, tf.bfloat16) if whole or slot in self._compact else value

    def check_compact(self, have: Iterable[str]) -> None:
        """Refuse names of `store_slots` that no slot has, or that must keep their bits."""
        spared = ("average", *self.slots_of_weights)
        fit = [slot for slot in have if slot not in spared]
        for slot in sorted(self._compact or ()):
            if slot not in fit:
                raise ValueError(
                    f"store_slots: {slot!r} "
                    + ("is weights, which 16 bits would lose" if slot in spared else "is no slot")
                    + f"; {type(self).__name__} can store {fit} in bfloat16."
                )

    def _before_build(self, method: str) -> None:
        if self.built:
            raise ValueError(f"call {method} before the optimizer is built.")
