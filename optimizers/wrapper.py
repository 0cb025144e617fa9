"""Wrapper: an optimizer around another one, which hands on whatever it does not change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from optimizers.evaluation import Evaluated
from optimizers.variables import local, matched, unwrap


class Wrapper(Evaluated, tf.Module):
    """Base of all optimizers around another; a subclass gives `around` and perhaps `slot_names`.

    A wrapper is an optimizer: it may be wrapped again. Its own slots begin at the weights as they
    are before the first update, whenever they were loaded.

    Args:
        optimizer: One of ours: an optimizer, a wrapper, or `Groups`.
        name: Defaults to the class name in lower case.

    Raises:
        TypeError: `optimizer` is none of these, or takes two gradients (SAM) where only what looks
            at the weights after an update may go around it.
    """

    slot_names: tuple[str, ...] = ()
    around_two_gradients: bool = False
    """Whether it may go around SAM, whose weights stand elsewhere when `around` begins."""

    def __init__(self, optimizer: Any, *, name: str | None = None):
        if not isinstance(optimizer, Evaluated):
            raise TypeError(
                f"optimizer={optimizer!r} is none of ours; {type(self).__name__} goes around an "
                "object of this package, such as optimizers.Adam()."
            )
        if hasattr(optimizer, "perturb") and not self.around_two_gradients:
            raise TypeError(
                f"optimizer={type(optimizer).__name__} takes two gradients, and its weights stand "
                f"elsewhere when {type(self).__name__} sees the second: put SAM around "
                f"{type(self).__name__}."
            )
        tf.Module.__init__(self, name=name or type(self).__name__.lower())
        self.optimizer: Any = optimizer
        self._slots: dict[str, list[tf.Variable]] = {}

    # ---- what a subclass defines -------------------------------------------------------------

    def around(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        """One update: whatever is done before and after `self.inner(pairs)`.

        Args:
            pairs: (gradient, variable) of the variables that have a gradient.
        """
        raise NotImplementedError(f"{type(self).__name__} must define around(pairs).")

    def initial_slot(self, slot: str, variable: tf.Variable) -> tf.Tensor:
        """First value of a slot of its own: the weights."""
        del slot
        return variable.read_value()

    def extra_variables(self) -> list[tf.Variable]:
        """Variables of the wrapper that belong to no single weight."""
        return []

    # ---- handed on ---------------------------------------------------------------------------

    def inner(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        """The update of the optimizer within."""
        self.optimizer.apply([g for g, _ in pairs], [v for _, v in pairs])

    @property
    def learning_rate(self) -> tf.Tensor:
        """The rate of the next update, a float32 scalar tensor."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        """Set the rate, with no retracing of compiled functions."""
        self.optimizer.learning_rate = value

    @property
    def weight_decay(self) -> tf.Tensor | None:
        """The decay of the next update; None where there is none."""
        return self.optimizer.weight_decay

    @weight_decay.setter
    def weight_decay(self, value: float) -> None:
        """Set the decay, with no retracing of compiled functions."""
        self.optimizer.weight_decay = value

    @property
    def schedule(self) -> Callable | None:
        """The schedule, where the rate has one."""
        return self.optimizer.schedule

    @property
    def iterations(self) -> tf.Variable:
        """The number of updates that were really made."""
        return self.optimizer.iterations

    @property
    def built(self) -> bool:
        """Whether the slots exist."""
        return self.optimizer.built

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables the optimizer was built for."""
        return self.optimizer.weights

    @property
    def weight_names(self) -> list[str]:
        """The names of `weights`."""
        return self.optimizer.weight_names

    @property
    def variables(self) -> list[tf.Variable]:
        """Those of the optimizer within, then its own."""
        own = [slot for slots in self._slots.values() for slot in slots]
        return [*self.optimizer.variables, *own, *self.extra_variables()]

    @property
    def perturb(self) -> Callable[[Sequence[Any], Sequence[Any]], None]:
        """See `SAM.perturb`; an attribute only of what takes two gradients."""
        return self.optimizer.perturb

    def slot(self, name: str, variable: Any) -> tf.Variable:
        """One slot of one variable, its own or one of the optimizer within."""
        if name not in self._slots:
            return self.optimizer.slot(name, variable)
        return self._slots[name][self.position(variable)]

    def position(self, variable: Any) -> int:
        """The place of a variable in `weights`.

        Raises:
            ValueError: the optimizer was not built for it.
        """
        wanted = unwrap(variable)
        for i, weight in enumerate(self.weights):
            if weight is wanted:
                return i
        raise ValueError(f"{self.name} was not built for the variable {wanted.name!r}.")

    def build(self, variables: Iterable[Any]) -> None:
        """Create the slots. Call it before tracing; again with the same variables does nothing."""
        self.optimizer.build(list(variables))
        self._create_slots()

    def add(self, variables: Iterable[Any]) -> None:
        """Take in variables that came later; see `Optimizer.add`."""
        self.optimizer.add(list(variables))
        self._create_slots()

    def apply(self, grads: Sequence[Any], variables: Sequence[Any]) -> None:
        """One update of `variables` by `grads`; see `Optimizer.apply`."""
        variables = list(variables)
        pairs = matched(grads, variables)
        if not self.built or len(self._slots) < len(self.slot_names):
            with tf.init_scope():
                self.build(variables)
        with tf.name_scope(self.name):
            self.around(pairs)

    def evaluation_values(self) -> list[Any]:
        """The weights to evaluate with: those of the optimizer within."""
        return self.optimizer.evaluation_values()

    def finalize_variable_values(self, variables: Iterable[Any]) -> None:
        """Replace weights by their averages, where the optimizer within keeps some."""
        self.optimizer.finalize_variable_values(variables)

    # ---- its own slots -----------------------------------------------------------------------

    def own(self, slot: str) -> list[tf.Variable]:
        """One of its own slots of all variables, as the running replica sees them."""
        return [local(v) for v in self._slots[slot]]

    def _create_slots(self) -> None:
        names = self.weight_names
        for slot in self.slot_names:
            have = list(self._slots.get(slot, ()))
            for name, v in list(zip(names, self.weights, strict=True))[len(have) :]:
                value = self.initial_slot(slot, v)
                have.append(tf.Variable(value, trainable=False, name=f"{name}/{slot}"))
            self._slots[slot] = have
