"""Optimizer: everything around an update rule (learning rate, slots, clipping, decay, averages)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from optimizers import clipping
from optimizers.variables import Roster, local, name_of, unwrap


class Optimizer(tf.Module):
    """Base of all optimizers: subclasses give `slot_names`, `scalars` and `update`.

    One `apply` does, in this order: clip the gradients, decay the weights
    (`w -= w * weight_decay * learning_rate`), update every variable by the rule, move the averages
    of the weights, add 1 to `iterations`. Gradients are taken as they come: reduced over replicas
    and unscaled by whoever calls.

    Args:
        learning_rate: A number, or a schedule: a callable from the step (int64 scalar tensor, the
            number of updates done) to the rate.
        weight_decay: Decoupled decay, times the learning rate; None for none.
        clipnorm: Largest Euclidean norm of each gradient.
        clipvalue: Largest magnitude of each element of the gradients.
        global_clipnorm: Largest Euclidean norm of all gradients together. One of the three at most.
        use_ema: Whether to keep a moving average of the weights, in the slot "average".
        ema_momentum: In [0, 1]: `average = ema_momentum * average + (1 - ema_momentum) * w`; the
            first step copies the weights.
        ema_overwrite_frequency: Every this many updates the weights become their average; None:
            only `finalize_variable_values` does that.
        name: Name of the optimizer; defaults to the class name in lower case.

    Raises:
        ValueError: an argument is out of range, or two ways of clipping are set.
        TypeError: `learning_rate` is neither a number nor callable.
    """

    slot_names: tuple[str, ...] = ()
    fused: bool = True
    """Use TensorFlow's own kernel where it computes the same rule (False: the written rule)."""

    _TF_MODULE_IGNORED_PROPERTIES = frozenset(
        # The roster holds the model's variables, which are not the optimizer's own.
        ("_roster", *tf.Module._TF_MODULE_IGNORED_PROPERTIES)
    )

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name or type(self).__name__.lower())
        self.clip = clipping.clipper(clipnorm, clipvalue, global_clipnorm)
        if weight_decay is not None and weight_decay < 0:
            raise ValueError(f"weight_decay={weight_decay} must be None or at least 0.")
        check_range("ema_momentum", ema_momentum, 0.0, 1.0)
        if ema_overwrite_frequency is not None and not (use_ema and ema_overwrite_frequency >= 1):
            raise ValueError(
                f"ema_overwrite_frequency={ema_overwrite_frequency} must be None or an integer of "
                f"at least 1, and needs use_ema=True (it is {use_ema})."
            )
        self.weight_decay = weight_decay
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.iterations = tf.Variable(0, trainable=False, dtype=tf.int64, name="iterations")
        if callable(learning_rate):
            self._learning_rate: Any = learning_rate
        else:
            self._learning_rate = tf.Variable(
                check_rate(learning_rate), trainable=False, dtype=tf.float32, name="learning_rate"
            )
        self._roster: Roster | None = None
        self._slots: dict[str, list[tf.Variable]] = {}
        self._undecayed: tuple[list, list[str]] = ([], [])

    # ---- what a subclass defines -------------------------------------------------------------

    def scalars(self, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Values that all variables share in one update, computed once.

        Args:
            step: The number of this update, from 1, in the dtype of the variables.
        """
        del step
        return {}

    def begin(self, step: tf.Tensor) -> None:
        """Move what belongs to the rule as a whole; called once, before `scalars`.

        Args:
            step: The number of this update, from 1, in float32.
        """
        del step

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Variable],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
    ) -> None:
        """Move one variable and its slots; all arguments have the variable's dtype."""
        raise NotImplementedError(f"{type(self).__name__} must define update(...).")

    def update_sparse(
        self, variable: tf.Variable, gradient: tf.IndexedSlices, learning_rate: tf.Tensor
    ) -> bool:
        """Apply a sparse gradient as it is, where that equals the dense rule; else return False."""
        del variable, gradient, learning_rate
        return False

    def initial_slot(self, slot: str, variable: tf.Variable) -> tf.Tensor:
        """First value of a slot; zeros unless overridden."""
        del slot
        return tf.zeros(variable.shape, variable.dtype)

    # ---- the public surface ------------------------------------------------------------------

    @property
    def learning_rate(self) -> tf.Tensor:
        """The rate of the next update, a float32 scalar tensor."""
        if isinstance(self._learning_rate, tf.Variable):
            return tf.convert_to_tensor(local(self._learning_rate))
        return tf.cast(self._learning_rate(local(self.iterations).read_value()), tf.float32)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        """Set the rate, with no retracing of compiled functions."""
        if not isinstance(self._learning_rate, tf.Variable):
            raise TypeError(
                f"learning_rate={value} cannot replace the schedule {self._learning_rate!r}: "
                "compiled functions hold it. Build the optimizer with a number to set it later."
            )
        if callable(value) and not isinstance(value, tf.Variable):
            raise TypeError(
                "learning_rate cannot become a schedule after the optimizer was made with a "
                "number: compiled functions would not see it. Pass the schedule to the constructor."
            )
        self._learning_rate.assign(value)

    @property
    def schedule(self) -> Callable | None:
        """The schedule, where the rate has one."""
        return None if isinstance(self._learning_rate, tf.Variable) else self._learning_rate

    @property
    def built(self) -> bool:
        """Whether the slots exist."""
        return self._roster is not None

    @property
    def variables(self) -> list[tf.Variable]:
        """Iterations, learning rate (unless a schedule gives it), then slot by slot."""
        found = [self.iterations]
        if isinstance(self._learning_rate, tf.Variable):
            found.append(self._learning_rate)
        for slots in self._slots.values():
            found += slots
        return found + self.extra_variables()

    def extra_variables(self) -> list[tf.Variable]:
        """Variables of the rule that belong to no single weight."""
        return []

    @property
    def slots(self) -> dict[str, list[tf.Variable]]:
        """Slots by name, each in the order of the variables they were built for."""
        return {name: list(values) for name, values in self._slots.items()}

    def slot(self, name: str, variable: Any) -> tf.Variable:
        """One slot of one variable.

        Raises:
            ValueError: there is no such slot, or the optimizer was not built for the variable.
        """
        if name not in self._slots:
            raise ValueError(f"slot {name!r} is unknown; {self.name} has {sorted(self._slots)}.")
        return self._slots[name][self._known().index(variable)]

    def build(self, variables: Iterable[Any]) -> None:
        """Create the slots. Call it before tracing; again with the same variables does nothing.

        Args:
            variables: `tf.Variable`s or Keras variables.

        Raises:
            ValueError: it was built for other variables, or an exclusion from weight decay matches
                none of them.
        """
        variables = list(variables)
        if self._roster is not None:
            for v in variables:
                self._roster.index(v)
            return
        roster = Roster(self.name, variables, *self._undecayed)
        slots = {}
        for slot in (("average",) if self.use_ema else ()) + tuple(self.slot_names):
            slots[slot] = [
                tf.Variable(
                    tf.zeros(v.shape, v.dtype) if slot == "average" else self.initial_slot(slot, v),
                    trainable=False,
                    name=f"{name}/{slot}",
                )
                for name, v in zip(roster.names, roster.variables, strict=True)
            ]
        self._slots = slots
        self._roster = roster

    def apply(self, grads: Sequence[Any], variables: Sequence[Any]) -> None:
        """One update of `variables` by `grads`; see the class for its order.

        Args:
            grads: One gradient per variable: a tensor, `tf.IndexedSlices` (duplicate indices add
                up; the meaning is that of the dense gradient) or None, which leaves the variable,
                its slots and its decay alone.
            variables: The variables, all or some of those the optimizer was built for.

        Raises:
            ValueError: the lengths differ, no gradient is given, or a variable is unknown.
        """
        grads, variables = list(grads), list(variables)
        if len(grads) != len(variables):
            raise ValueError(f"{len(grads)} grads for {len(variables)} variables: give one each.")
        if not self.built:
            with tf.init_scope():
                self.build(variables)
        pairs = [(g, unwrap(v)) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError(
                "every gradient is None: the loss does not depend on these variables "
                f"({[name_of(v) for v in variables[:5]]}...). Compute it inside the tape."
            )
        with tf.name_scope(self.name):
            self._apply(pairs)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Any] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Spare variables the weight decay; call it before `build`.

        Args:
            var_list: Variables to spare.
            var_names: Regular expressions; a variable is spared when one is found in its name
                ("dense/bias"). One that is found in no name is an error at `build`.
        """
        if self.built:
            raise ValueError("call exclude_from_weight_decay before the optimizer is built.")
        self._undecayed = ([unwrap(v) for v in var_list or ()], list(var_names or ()))

    def finalize_variable_values(self, variables: Iterable[Any]) -> None:
        """Replace weights by their moving averages (Keras does so at the end of `fit`)."""
        if not self.use_ema:
            return
        for variable in variables:
            local(unwrap(variable)).assign(local(self.slot("average", variable)))

    # ---- one update --------------------------------------------------------------------------

    def _apply(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        roster = self._known()
        indices = [roster.index(v) for _, v in pairs]
        targets = [local(v) for _, v in pairs]
        grads: list[Any] = []
        for (g, _), v in zip(pairs, targets, strict=True):
            if isinstance(g, tf.IndexedSlices) and self.clip is not None:
                g = dense(g, v)
            grads.append(g if g.dtype == v.dtype else tf.cast(g, v.dtype))
        if self.clip is not None:
            grads = self.clip(grads)
        rate = self.learning_rate
        iterations = local(self.iterations)
        self.begin(tf.cast(iterations + 1, tf.float32))
        shared: dict[tf.DType, tuple[tf.Tensor, Mapping[str, tf.Tensor]]] = {}
        for dtype in {v.dtype: None for v in targets}:
            shared[dtype] = (tf.cast(rate, dtype), self.scalars(tf.cast(iterations + 1, dtype)))
        for gradient, variable, i in zip(grads, targets, indices, strict=True):
            lr, scalars = shared[variable.dtype]
            if self.weight_decay is not None and roster.decays[i]:
                variable.assign_sub(variable * (self.weight_decay * lr))
            if isinstance(gradient, tf.IndexedSlices):
                if self.update_sparse(variable, gradient, lr):
                    continue
                gradient = dense(gradient, variable)
            slots = {name: local(self._slots[name][i]) for name in self.slot_names}
            self.update(variable, gradient, slots, lr, scalars)
        if self.use_ema:
            self._average(iterations)
        iterations.assign_add(1)

    def _average(self, iterations: tf.Variable) -> None:
        """Move the averages of all weights, and write them back where that is due."""
        weights = [local(v) for v in self._known().variables]
        averages = [local(a) for a in self._slots["average"]]
        for weight, average in zip(weights, averages, strict=True):
            started = tf.cast(tf.not_equal(iterations, 0), weight.dtype)
            momentum = started * tf.cast(self.ema_momentum, weight.dtype)
            average.assign(momentum * average + (1.0 - momentum) * weight)
        if self.ema_overwrite_frequency is None:
            return
        due = tf.equal((iterations + 1) % self.ema_overwrite_frequency, 0)
        for weight, average in zip(weights, averages, strict=True):
            weight.assign(tf.where(due, average, weight))

    def _known(self) -> Roster:
        if self._roster is None:
            raise ValueError(f"{self.name} is not built: call build(variables) first.")
        return self._roster


def dense(gradient: tf.IndexedSlices, variable: tf.Variable) -> tf.Tensor:
    """A sparse gradient as a dense one, duplicate indices added up."""
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, variable.shape[0])


def check_rate(learning_rate: Any) -> float:
    """The learning rate as a float, when it is a finite number of at least 0."""
    try:
        value = float(learning_rate)
    except (TypeError, ValueError):
        raise TypeError(
            f"learning_rate={learning_rate!r} must be a number or a schedule (step -> rate)."
        ) from None
    if not 0.0 <= value < float("inf"):
        raise ValueError(f"learning_rate={learning_rate} must be finite and at least 0.")
    return value


def check_range(name: str, value: float, low: float, high: float) -> float:
    """The argument, when it lies in [low, high]."""
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}={value} must lie in [{low}, {high}].")
    return value


def check_epsilon(epsilon: float) -> float:
    """The argument, when it is at least 0."""
    if not epsilon >= 0:
        raise ValueError(f"epsilon={epsilon} must be at least 0.")
    return epsilon
