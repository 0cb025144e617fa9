"""FTRL-Proximal (McMahan et al. 2013): sparse linear models at scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_least
from optimizers.slots import Item


def ftrl_step(
    gradient: tf.Tensor,
    weight: tf.Tensor,
    accumulator: tf.Tensor,
    linear: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    power: float,
    l1: float,
    l2: float | tf.Tensor,
    shrinkage: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step: (new weights, new accumulator, new linear term). Algorithm 1 of the paper.

    With `n <- n + g^2` and p = -power (1/2 in the paper):
    `z <- z + g + 2 s w - (n_new^p - n_old^p) / lr w`, then
    `w = (clip(z, -l1, l1) - z) / (n_new^p / lr + 2 l2)`: 0 where |z| stays below l1.

    Args:
        gradient: g.
        weight: w.
        accumulator: n.
        linear: z.
        learning_rate: lr.
        power: How the rate falls with n, at most 0.
        l1: Pulls weights to exactly 0.
        l2: Pulls weights towards 0.
        shrinkage: s, a decay of the weights that the accumulator does not see.
    """
    total = accumulator + tf.square(gradient)
    new, old = tf.pow(total, -power), tf.pow(accumulator, -power)
    linear = linear + (gradient + 2.0 * shrinkage * weight - (new - old) / learning_rate * weight)
    quadratic = new / learning_rate + 2.0 * l2
    return (tf.clip_by_value(linear, -l1, l1) - linear) / quadratic, total, linear


class Ftrl(Optimizer):
    """FTRL-Proximal, see `ftrl_step`: weights follow from the slots, not from their last value.

    Args:
        learning_rate: A number or a schedule.
        learning_rate_power: At most 0; 0 keeps the rate fixed.
        initial_accumulator_value: First value of the sum of squares, at least 0.
        l1_regularization_strength: At least 0.
        l2_regularization_strength: At least 0.
        l2_shrinkage_regularization_strength: At least 0; a penalty on the weights that does not
            enter the sum of squares.
        beta: The beta of the paper: adds `beta / (2 lr)` to the l2 strength.
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    slots_of_weights = ("linear",)

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        *,
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
        if learning_rate_power > 0:
            raise ValueError(f"learning_rate_power={learning_rate_power} must be at most 0.")
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = check_least(
            "initial_accumulator_value", initial_accumulator_value, 0.0
        )
        self.l1 = check_least("l1_regularization_strength", l1_regularization_strength, 0.0)
        self.l2 = check_least("l2_regularization_strength", l2_regularization_strength, 0.0)
        self.shrinkage = check_least(
            "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength, 0.0
        )
        self.beta = beta
        self.slot_names = ("accumulator", "linear")

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """The initial accumulator value, and zeros."""
        value = tf.cast(self.initial_accumulator_value, variable.dtype)
        zeros = super().initial_slots(variable, name)
        return zeros | {"accumulator": tf.fill(variable.shape, value)}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights, sum of squares and linear term."""
        weight, accumulator, linear = ftrl_step(
            gradient,
            weight,
            slots["accumulator"],
            slots["linear"],
            learning_rate=learning_rate,
            power=self.learning_rate_power,
            l1=self.l1,
            l2=self.l2 + self.beta / (2.0 * learning_rate),
            shrinkage=self.shrinkage,
        )
        return weight, {"accumulator": accumulator, "linear": linear}

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """TensorFlow's kernel."""
        item.decay_now()
        tf.raw_ops.ResourceApplyFtrlV2(
            var=item.variable.handle,
            accum=item.slots["accumulator"].handle,
            linear=item.slots["linear"].handle,
            grad=item.gradient,
            lr=item.learning_rate,
            l1=tf.cast(self.l1, item.dtype),
            l2=self.l2 + self.beta / (2.0 * item.learning_rate),
            l2_shrinkage=tf.cast(self.shrinkage, item.dtype),
            lr_power=tf.cast(self.learning_rate_power, item.dtype),
        )
        return True
