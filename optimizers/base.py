"""Optimizer: everything around an update rule (learning rate, slots, clipping, decay, averages)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from optimizers import clipping, one_program
from optimizers.checks import check_count, check_range
from optimizers.evaluation import Evaluated
from optimizers.rates import Rates
from optimizers.settings import Settings
from optimizers.shards import Sharded
from optimizers.slots import Item
from optimizers.variables import Roster, computing, local, matched, unwrap


class Optimizer(Sharded, Rates, Settings, Evaluated, tf.Module):
    """Base of all optimizers: a subclass gives `slot_names` and `rule`.

    One `apply` does, in this order: clip the gradients, decay the weights
    (`w -= w * weight_decay * learning_rate`), update every variable by the rule, move the averages
    of the weights, call the constraints of variables that have one (`kernel_constraint` of Keras's
    layers, `tf.Variable(constraint=...)`), add 1 to `iterations`. Gradients are taken as they come:
    reduced over replicas and unscaled by whoever calls.

    Args:
        learning_rate: A number, a schedule (a callable from the step, the number of updates done
            as an int64 scalar tensor, to the rate), or a scalar `tf.Variable`, which is read at
            each update.
        weight_decay: Decoupled decay, times the learning rate: a number, a schedule, a scalar
            `tf.Variable`; None for none.
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
        TypeError: `learning_rate` is neither a number, a variable nor callable.

    Example:
        A rule of one's own (Bernstein et al. 2018, signSGD with momentum):

        >>> class Signum(Optimizer):
        ...     slot_names = ("momentum",)
        ...     def rule(self, weight, gradient, slots, learning_rate, scalars):
        ...         m = 0.9 * slots["momentum"] + 0.1 * gradient
        ...         return weight - learning_rate * tf.sign(m), {"momentum": m}
        >>> weight = tf.Variable([1.0, 1.0])
        >>> Signum(0.25).apply([tf.constant([2.0, -3.0])], [weight])
        >>> weight.numpy().tolist()
        [0.75, 1.25]
    """

    slot_names: tuple[str, ...] = ()
    slots_of_weights: tuple[str, ...] = ()
    """Slots that are weights, or become weights, and so are never stored in fewer bits."""
    slots_of_sides: tuple[str, ...] = ()
    """Slots for one side of a matrix: on a square they have the variable's shape by chance."""
    slot_meanings: Mapping[str, str] = {}
    """What slots hold that other rules keep too, in the same words: see `adopt_slots`."""
    fused: bool = True
    """Move a variable in few passes over memory: by TensorFlow's kernel where it computes the same
    rule, else in an XLA program, see `compiles_up_to` (False: by the operations as written)."""
    compiles_up_to: float = 0
    """The largest variable, in numbers, that plain graphs too move by XLA: see `one_program`."""

    _TF_MODULE_IGNORED_PROPERTIES = frozenset(
        # The roster holds the model's variables, which are not the optimizer's own; shards none.
        ("_roster", "_shards", *tf.Module._TF_MODULE_IGNORED_PROPERTIES)
    )

    def __init__(
        self,
        learning_rate: float | Callable | tf.Variable = 0.001,
        *,
        weight_decay: float | Callable | tf.Variable | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str | None = None,
    ):
        tf.Module.__init__(self, name=name or type(self).__name__.lower())
        Settings.__init__(self)
        self.clip = clipping.clipper(clipnorm, clipvalue, global_clipnorm)
        Rates.__init__(self, learning_rate, weight_decay)
        check_range("ema_momentum", ema_momentum, 0.0, 1.0)
        if ema_overwrite_frequency is not None:
            check_count("ema_overwrite_frequency", ema_overwrite_frequency)
            if not use_ema:
                raise ValueError(
                    f"ema_overwrite_frequency={ema_overwrite_frequency} needs use_ema=True."
                )
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.iterations = tf.Variable(0, trainable=False, dtype=tf.int64, name="iterations")
        self._roster: Roster | None = None
        self._slots: dict[str, list[tf.Variable | None]] = {}

    # ---- what a subclass defines -------------------------------------------------------------

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """One update of one variable: (new weights, new values of the slots that move).

        Args:
            weight: The weights, already decayed; those of 16-bit variables in float32.
            gradient: Of the weights' shape and dtype, dense.
            slots: The variable's slots by name.
            learning_rate: Scalar in the weights' dtype.
            scalars: What `scalars` gave for that dtype.
        """
        raise NotImplementedError(f"{type(self).__name__} must define rule(...).")

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """Values that all variables share in one update, computed once.

        Args:
            step: The number of this update, from 1, in the dtype that `rule` computes in.
        """
        del step
        return {}

    def begin(self, step: tf.Tensor) -> None:
        """Move what belongs to the rule as a whole; called once, before `scalars`.

        Args:
            step: The number of this update, from 1, in float32.
        """
        del step

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """First values of one variable's slots; zeros of its shape for all of `slot_names`."""
        del name
        return {slot: tf.zeros(variable.shape, variable.dtype) for slot in self.slot_names}

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """Move one variable by a kernel of TensorFlow's, if there is one for it; else False.

        Asked only of float32 and float64 variables in one place, slots of their dtype.
        """
        del item, scalars
        return False

    def update_sparse(self, item: Item) -> bool:
        """Apply a sparse gradient as it is, where that equals the dense rule; else False."""
        del item
        return False

    def decay_of(self, index: int) -> Any:
        """The weight decay of one variable: a number, a schedule, a variable or None."""
        del index
        return self._weight_decay

    def update_all(
        self, items: Sequence[Item], scalars: Mapping[tf.DType, Mapping[str, Any]]
    ) -> None:
        """Move all variables of one update; to be overridden by rules that look at all of them."""
        one_program.move(self, items, scalars)

    def update(self, item: Item, scalars: Mapping[str, Any]) -> None:
        """Move one variable and its slots by the rule as it is written."""
        weight, slots = self.rule(
            item.weight(), item.gradient, item.read(), item.learning_rate, scalars
        )
        item.write(weight, slots)

    # ---- the public surface ------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the slots exist."""
        return self._roster is not None

    @property
    def variables(self) -> list[tf.Variable]:
        """Iterations, learning rate and decay (unless schedules give them), then slot by slot."""
        found = [self.iterations, *self.rate_variables()]
        for slots in self._slots.values():
            found += [slot for slot in slots if slot is not None]
        return found + self.extra_variables()

    def extra_variables(self) -> list[tf.Variable]:
        """Variables of the rule that belong to no single weight."""
        return []

    @property
    def slots(self) -> dict[str, list[tf.Variable | None]]:
        """Slots by name, in the order of the variables; None where a variable has no such slot."""
        return {name: list(values) for name, values in self._slots.items()}

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables the optimizer was built for."""
        return list(self._known().variables)

    @property
    def weight_names(self) -> list[str]:
        """The names of `weights`."""
        return list(self._known().names)

    def slot(self, name: str, variable: Any) -> tf.Variable:
        """One slot of one variable.

        Raises:
            ValueError: there is no such slot, or the optimizer was not built for the variable.
        """
        roster = self._known()
        if name not in self._slots:
            raise ValueError(f"slot {name!r} is unknown; {self.name} has {sorted(self._slots)}.")
        found = self._slots[name][roster.index(variable)]
        if found is None:
            raise ValueError(f"{self.name} keeps no {name!r} for {unwrap(variable).name!r}.")
        return found

    def build(self, variables: Iterable[Any]) -> None:
        """Create the slots. Call it before tracing; again with the same variables does nothing.

        Args:
            variables: `tf.Variable`s or Keras variables.

        Raises:
            ValueError: it was built for other variables, or a pattern of a setting (exclusion from
                weight decay, multiplied learning rate) matches none of them.
        """
        variables = list(variables)
        if self._roster is not None:
            for v in variables:
                self._roster.index(v)
            return
        roster = Roster(self.name, variables)
        self.settle(roster)
        self._create_slots(roster, 0)
        self._roster = roster

    def add(self, variables: Iterable[Any]) -> None:
        """Take in variables that came later; their slots start anew, the others' go on.

        Patterns of `exclude_from_weight_decay` and `multiply_learning_rate` count for them too.
        Functions traced before must be traced again. `iterations` is one number for all, so that
        bias corrections do not start anew: Adam's first step of a later variable is
        `(1 - beta_1) / sqrt(1 - beta_2)`, about 3, learning rates long.

        Raises:
            ValueError: the optimizer is not built yet, or knows one of them already.
        """
        roster = self._known()
        first = len(roster.variables)
        roster.add(list(variables))
        self.settle(roster, first)
        self._create_slots(roster, first)

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
        variables = list(variables)
        pairs = matched(grads, variables)
        if not self.built:
            with tf.init_scope():
                self.build(variables)
        with tf.name_scope(self.name):
            self._apply(pairs)

    def finalize_variable_values(self, variables: Iterable[Any]) -> None:
        """Replace weights by their moving averages (Keras does so at the end of `fit`)."""
        if self.use_ema:
            values = self.evaluation_values()
            for variable in variables:
                local(unwrap(variable)).assign(values[self._known().index(variable)])

    def evaluation_values(self) -> list[Any]:
        """The weights to evaluate with: with `use_ema` their averages, once there was an update."""
        weights = [local(v) for v in self.weights]
        if not self.use_ema:
            return weights
        some = tf.not_equal(local(self.iterations), 0)  # before, weights may be loaded
        return [
            tf.where(some, tf.cast(local(average), weight.dtype), weight)
            for average, weight in zip(self._slots["average"], weights, strict=True)
        ]

    # ---- one update --------------------------------------------------------------------------

    def _apply(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        roster = self._known()
        indices = [roster.index(v) for _, v in pairs]
        targets = [local(v) for _, v in pairs]
        iterations = local(self.iterations)
        self.begin(tf.cast(iterations + 1, tf.float32))
        scalars = {
            dtype: self.scalars(tf.cast(iterations + 1, dtype))
            for dtype in {computing(v.dtype): None for v in targets}
        }
        items = self._items(pairs, indices, targets, tf.convert_to_tensor(iterations))
        self.update_all([item for item in items if self._mine(item.index)], scalars)
        if self.use_ema:
            self._average(iterations)
        for i, variable in zip(indices, targets, strict=True):
            constraint = roster.constraints[i]
            if constraint is not None and self._mine(i):
                variable.assign(constraint(tf.convert_to_tensor(variable)), read_value=False)
        iterations.assign_add(1)

    def _items(
        self,
        pairs: list[tuple[Any, tf.Variable]],
        indices: list[int],
        targets: list[tf.Variable],
        iterations: tf.Tensor,
    ) -> list[Item]:
        """The variables of one update with clipped gradients, their own rates and decays."""
        roster = self._known()
        items = []
        rate = self.learning_rate
        made: dict[Any, Any] = {}  # what variables share is computed once
        for (gradient, _), variable, i in zip(pairs, targets, indices, strict=True):
            factor, dtype = roster.factors[i], computing(variable.dtype)
            if (dtype, factor) not in made:
                made[dtype, factor] = tf.cast(rate if factor == 1.0 else rate * factor, dtype)
            lr = made[dtype, factor]
            decay, shrink = (self.decay_of(i) if roster.decays[i] else None), None
            if decay is not None:
                key = (id(decay), dtype, factor)
                if key not in made:
                    value = decay if isinstance(decay, (int, float)) else self._now(decay, dtype)
                    made[key] = value, value * lr
                decay, shrink = made[key]
            slots = {
                name: local(found[i])
                for name, found in self._slots.items()
                if found[i] is not None and name != "average"
            }
            if gradient.dtype != dtype:
                gradient = tf.cast(gradient, dtype)
            items.append(Item(i, variable, gradient, slots, lr, decay, shrink, iterations))
        if self.clip is not None:
            for item in items:
                item.densify()
            clipped = self.clip([item.gradient for item in items])
            for item, gradient in zip(items, clipped, strict=True):
                item.gradient = gradient
        return items

    @property
    def _separable(self) -> bool:
        return type(self).update_all is Optimizer.update_all

    def _average(self, iterations: tf.Variable) -> None:
        """Move the averages of all weights, and write them back where that is due."""
        own = [i for i in range(len(self._known().variables)) if self._mine(i)]
        weights = [local(self._known().variables[i]) for i in own]
        averages = [local(self._slots["average"][i]) for i in own]
        for weight, average in zip(weights, averages, strict=True):
            started = tf.cast(tf.not_equal(iterations, 0), average.dtype)
            momentum = started * tf.cast(self.ema_momentum, average.dtype)
            average.assign(momentum * average + (1.0 - momentum) * tf.cast(weight, average.dtype))
        if self.ema_overwrite_frequency is None:
            return
        due = tf.equal((iterations + 1) % self.ema_overwrite_frequency, 0)
        for weight, average in zip(weights, averages, strict=True):
            weight.assign(tf.where(due, tf.cast(average, weight.dtype), weight))

    def _create_slots(self, roster: Roster, first: int) -> None:
        """Slots of the variables from number `first` on."""
        found: list[dict[str, tf.Variable]] = []
        self._share_out(roster.variables[first:])
        for i, name in enumerate(roster.names[first:], first):
            v = roster.variables[i]
            first_average = tf.cast(v.read_value(), computing(v.dtype))
            values = {"average": first_average} if self.use_ema else {}
            values.update(self.initial_slots(v, name))
            with self._kept_by_owner(i):
                found.append({})
                for slot, value in values.items():
                    stored = self.stored(slot, value, v)
                    found[i - first][slot] = tf.Variable(
                        stored, trainable=False, name=f"{name}/{slot}"
                    )
        names = {slot: None for values in found for slot in values}
        self.check_compact([*self._slots, *names])
        for slot in dict.fromkeys([*self._slots, *names]):
            before = self._slots.get(slot, [None] * first)
            self._slots[slot] = before + [values.get(slot) for values in found]

    def _known(self) -> Roster:
        if self._roster is None:
            raise ValueError(f"{self.name} is not built: call build(variables) first.")
        return self._roster
