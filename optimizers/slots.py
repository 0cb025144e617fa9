"""What one update moves: a variable, its gradient and slots, and how slots are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from optimizers.variables import computing

MEAN = "the running mean of the gradients"
SQUARES = "the running mean of their squares"


class Item:
    """One variable in one update.

    Attributes:
        index: Its place among the optimizer's variables.
        variable: The variable, or the running replica's copy of it.
        gradient: Of `dtype`: a tensor, or `tf.IndexedSlices` until `densify`.
        slots: Its slots by name, as variables.
        learning_rate: In `dtype`, with its multiplier.
        weight_decay: Its decay per unit of learning rate, or None.
        decay: `weight_decay * learning_rate`, or None.
        seed: int32 `[2]`, another for each update and variable.
    """

    def __init__(
        self,
        index: int,
        variable: tf.Variable,
        gradient: Any,
        slots: dict[str, tf.Variable],
        learning_rate: tf.Tensor,
        weight_decay: Any,
        decay: tf.Tensor | None,
        iterations: tf.Tensor,
    ):
        self.index = index
        self.variable = variable
        self.gradient = gradient
        self.slots = slots
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.decay = decay
        self._iterations = iterations
        self._read: tf.Tensor | None = None

    @property
    def seed(self) -> tf.Tensor:
        """int32 `[2]`: a pure function of the variable's place and the number of updates."""
        return tf.stack([tf.constant(self.index), tf.cast(self._iterations, tf.int32)])

    @property
    def dtype(self) -> tf.DType:
        """In what its rule computes: the variable's dtype, float32 for those of 16 bits."""
        return computing(self.variable.dtype)

    def densify(self) -> None:
        """Make a sparse gradient dense, duplicate indices added up."""
        if isinstance(self.gradient, tf.IndexedSlices):
            self.gradient = dense(self.gradient, self.variable)

    def weight(self) -> tf.Tensor:
        """The weights after their decay, which `write` has still to store."""
        weight = self._read = self.now()
        return weight if self.decay is None else weight - weight * self.decay

    def now(self) -> tf.Tensor:
        """The weights as they are stored."""
        return tf.cast(tf.convert_to_tensor(self.variable), self.dtype)

    def decay_now(self) -> None:
        """Decay the stored weights; `weight` then gives them as they are."""
        if self.decay is not None:
            self.variable.assign_sub(self.variable * self.decay, read_value=False)
            self.decay = None

    def plain(self) -> bool:
        """Whether all is stored in the dtype of the rule, so that kernels can move it."""
        return all(v.dtype == self.dtype for v in (self.variable, *self.slots.values()))

    def read(self) -> dict[str, tf.Tensor]:
        """The slots in the dtype of the rule (float32 ones stay, where the rule asks so)."""
        return {
            name: tf.cast(slot, self.dtype) if slot.dtype.size < 4 else _tensor(slot)
            for name, slot in self.slots.items()
        }

    def write(self, weight: tf.Tensor | None, slots: Mapping[str, tf.Tensor]) -> None:
        """Store new weights and slots; slots that are not named stay as they are."""
        for number, (name, value) in enumerate(slots.items()):
            slot = self.slots[name]
            if slot.dtype != value.dtype:
                value = _stored(value, slot.dtype, tf.add(self.seed, [0, number << 20]))
            slot.assign(value, read_value=False)
        if weight is None:
            return
        change = _subtracted(weight, self._read)
        if change is None or self.variable.dtype != self.dtype:
            self.variable.assign(tf.cast(weight, self.variable.dtype), read_value=False)
        else:
            self.variable.assign_sub(change, read_value=False)


def dense(gradient: tf.IndexedSlices, variable: tf.Variable) -> tf.Tensor:
    """A sparse gradient as a dense one, duplicate indices added up."""
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, variable.shape[0])


def stochastic_round(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A float32 tensor in bfloat16, rounded up or down with the odds that keep the mean.

    A mean that moves by less than half of bfloat16's last bit (1/256 of its value) would stand
    still under rounding to the nearest; this way it moves at the right pace on average (Gupta et
    al. 2015). 16 random bits are added below the bits that are kept.

    Args:
        x: Any shape. Infinities and NaN stay what they are.
        seed: int32 `[2]`.
    """
    bits = tf.bitcast(x, tf.uint32)
    noise = tf.random.stateless_uniform(
        tf.shape(x), seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
    )
    kept = (bits + (noise & 0xFFFF)) & 0xFFFF0000
    return tf.cast(tf.where(tf.math.is_finite(x), tf.bitcast(kept, tf.float32), x), tf.bfloat16)


def _stored(value: tf.Tensor, dtype: tf.DType, seed: tf.Tensor) -> tf.Tensor:
    if dtype == tf.bfloat16 and value.dtype == tf.float32:
        return stochastic_round(value, seed)
    return tf.cast(value, dtype)


def _tensor(slot: tf.Variable) -> tf.Tensor:
    return tf.convert_to_tensor(slot)


def _subtracted(value: tf.Tensor, read: tf.Tensor | None) -> tf.Tensor | None:
    """What `value` subtracts from the weights as they were read, when it is such a difference.

    Subtracting in place spares a graph a new buffer for the weights: a tenth of an update's time.
    """
    if read is None or tf.executing_eagerly():
        return None
    op = value.op
    return op.inputs[1] if op.type == "Sub" and op.inputs[0] is read else None
