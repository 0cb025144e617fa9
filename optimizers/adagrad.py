"""Adagrad (Duchi et al. 2011): rates that fall with the sum of squared gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_least
from optimizers.slots import Item

NOTHING = 1e-30
"""Leaves a root as it is. XLA makes of `g / sqrt(a)` without it what takes three times as long."""


def adagrad_step(
    gradient: tf.Tensor,
    accumulator: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    epsilon: float = NOTHING,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step: (what to subtract from the weights, new accumulator).

    `a <- a + g^2` and `w <- w - lr g / (sqrt(a) + eps)`, as in the paper. Keras has epsilon inside
    the root, `sqrt(a + eps)`: that is this rule, without its epsilon, once `a` begins with it.
    """
    accumulator = accumulator + tf.square(gradient)
    return learning_rate * gradient / (tf.sqrt(accumulator) + epsilon), accumulator


class Adagrad(Optimizer):
    """Adagrad, see `adagrad_step`.

    Args:
        learning_rate: A number or a schedule.
        initial_accumulator_value: First value of the sum of squares, at least 0 (the paper's is 0).
        epsilon: Added inside the root, which is to say to the first value of the sum.
        paper: Whether epsilon is added to the root, as in the paper.
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *,
        paper: bool = False,
        weight_decay: float | Callable | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str | None = None,
    ):
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            name=name,
        )
        self.initial_accumulator_value = check_least(
            "initial_accumulator_value", initial_accumulator_value, 0.0
        )
        self.epsilon = check_epsilon(epsilon)
        self.paper = paper
        self.slot_names = ("accumulator",)
        self._of_root = self.epsilon if paper else NOTHING

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """The initial accumulator value everywhere, with epsilon where that is inside the root."""
        del name
        value = self.initial_accumulator_value + (0.0 if self.paper else self.epsilon)
        return {"accumulator": tf.fill(variable.shape, tf.cast(value, variable.dtype))}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and sum of squares."""
        change, accumulator = adagrad_step(
            gradient,
            slots["accumulator"],
            learning_rate=learning_rate,
            epsilon=self._of_root,
        )
        return weight - change, {"accumulator": accumulator}

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """TensorFlow's kernel."""
        del scalars
        item.decay_now()
        tf.raw_ops.ResourceApplyAdagradV2(
            var=item.variable.handle,
            accum=item.slots["accumulator"].handle,
            lr=item.learning_rate,
            epsilon=tf.cast(self._of_root, item.dtype),
            grad=item.gradient,
        )
        return True
