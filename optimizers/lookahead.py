"""Lookahead (Zhang et al. 2019): k steps forward, one step back."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from optimizers.checks import check_count, check_range
from optimizers.variables import local
from optimizers.wrapper import Wrapper


class Lookahead(Wrapper):
    """Every `sync_period` updates, `slow <- slow + slow_step_size (w - slow)` and `w <- slow`.

    Zhang et al. 2019, algorithm 1. The slow weights are those to evaluate with.

    Args:
        optimizer: Makes the fast steps.
        sync_period: The paper's k.
        slow_step_size: The paper's alpha, in (0, 1].
        name: See `Wrapper`.
    """

    slot_names = ("slow",)

    def __init__(
        self,
        optimizer: Any,
        sync_period: int = 6,
        slow_step_size: float = 0.5,
        *,
        name: str | None = None,
    ):
        super().__init__(optimizer, name=name)
        self.sync_period = check_count("sync_period", sync_period)
        self.slow_step_size = check_range("slow_step_size", slow_step_size, 0.0, 1.0)

    def around(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        """Update, and step back when that is due."""
        before = tf.identity(tf.convert_to_tensor(local(self.iterations)))
        weights = [local(v) for v in self.weights]
        slow = self.own("slow")

        def begin() -> tf.Tensor:
            for weight, slot in zip(weights, slow, strict=True):
                slot.assign(tf.convert_to_tensor(weight), read_value=False)
            return tf.constant(0)

        def back() -> tf.Tensor:
            for weight, slot in zip(weights, slow, strict=True):
                old = tf.convert_to_tensor(slot)
                new = old + self.slow_step_size * (weight - old)
                slot.assign(new, read_value=False)
                weight.assign(new, read_value=False)
            return tf.constant(0)

        tf.cond(tf.equal(before, 0), begin, lambda: tf.constant(0))
        self.inner(pairs)
        after = tf.convert_to_tensor(local(self.iterations))
        due = (after > before) & tf.equal(after % self.sync_period, 0)
        tf.cond(due, back, lambda: tf.constant(0))

    def evaluation_values(self) -> list[Any]:
        """The slow weights, once there was an update."""
        started = local(self.iterations) > 0
        within = self.optimizer.evaluation_values()
        return [
            tf.where(started, slow, value)
            for slow, value in zip(self.own("slow"), within, strict=True)
        ]
