"""What may leave an update out: gradients that are not finite, and gradients that accumulate."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from optimizers.checks import check_count
from optimizers.slots import dense
from optimizers.variables import local
from optimizers.wrapper import Wrapper


class SkipNotFinite(Wrapper):
    """Leaves out every update with a gradient that is infinite or NaN.

    Weights, slots and `iterations` then stay as they are; `skipped` counts. With SAM, SAM goes
    around: `SAM(SkipNotFinite(optimizer))` is back where it was when the update is left out.

    Args:
        optimizer: Makes the updates.
        name: See `Wrapper`.
    """

    def __init__(self, optimizer: Any, *, name: str | None = None):
        super().__init__(optimizer, name=name)
        self.skipped = tf.Variable(0, trainable=False, dtype=tf.int64, name="skipped")

    def extra_variables(self) -> list[tf.Variable]:
        """The number of updates left out."""
        return [self.skipped]

    def around(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        """Update if everything is finite, else count."""

        def update() -> tf.Tensor:
            self.inner(pairs)
            return tf.constant(0)

        def skip() -> tf.Tensor:
            local(self.skipped).assign_add(1, read_value=False)
            return tf.constant(0)

        tf.cond(all_finite([g for g, _ in pairs]), update, skip)


class Accumulate(Wrapper):
    """Applies the mean of every `steps` gradients, as one update.

    Inside the trainer use its `accumulate=`, which weighs parts by their examples; this one is for
    loops of one's own. Calls in between add to the slot "gradient_sum" and change nothing else. A
    gradient that is None in some calls counts as zeros there; a variable that never had one is
    left alone.

    Args:
        optimizer: Makes the updates.
        steps: Gradients per update.
        name: See `Wrapper`.
    """

    slot_names = ("gradient_sum",)

    def __init__(self, optimizer: Any, steps: int, *, name: str | None = None):
        super().__init__(optimizer, name=name)
        self.steps = check_count("steps", steps)
        self.calls = tf.Variable(0, trainable=False, dtype=tf.int64, name="calls")
        self._reached: set[int] = set()  # places of variables that had a gradient

    def extra_variables(self) -> list[tf.Variable]:
        """The number of gradients taken in."""
        return [self.calls]

    def initial_slot(self, slot: str, variable: tf.Variable) -> tf.Tensor:
        """Zeros."""
        del slot
        return tf.zeros(variable.shape, variable.dtype)

    def around(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        """Add up, and update when there are enough."""
        sums = self.own("gradient_sum")
        for gradient, variable in pairs:
            place = self.position(variable)
            self._reached.add(place)
            slot = sums[place]
            if isinstance(gradient, tf.IndexedSlices):
                gradient = dense(gradient, slot)
            slot.assign_add(tf.cast(gradient, slot.dtype), read_value=False)
        calls = local(self.calls)
        calls.assign_add(1, read_value=False)
        reached = [(sums[place], self.weights[place]) for place in sorted(self._reached)]

        def update() -> tf.Tensor:
            self.inner([(tf.convert_to_tensor(slot) / self.steps, v) for slot, v in reached])
            for slot, _ in reached:
                slot.assign(tf.zeros_like(slot), read_value=False)
            return tf.constant(0)

        due = tf.equal(tf.convert_to_tensor(calls) % self.steps, 0)
        tf.cond(due, update, lambda: tf.constant(0))


def all_finite(gradients: list[Any]) -> tf.Tensor:
    """Whether every number of every gradient is finite: a bool scalar."""
    checks = []
    for gradient in gradients:
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        # As one row, see `clipping.square_sum`.
        checks.append(tf.reduce_all(tf.math.is_finite(tf.reshape(values, [-1]))))
    return tf.reduce_all(tf.stack(checks))
