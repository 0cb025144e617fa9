"""Yogi (Zaheer et al. 2018): a second moment that forgets at a bounded pace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.adam import corrected, powers
from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_least, check_mean
from optimizers.one_program import ANY
from optimizers.slots import MEAN


def yogi_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    beta_1: float,
    beta_2: float,
    beta_1_power: tf.Tensor,
    beta_2_power: tf.Tensor,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of Yogi: (what to subtract from the weights, new m, new v).

    Zaheer et al. 2018, algorithm 2: `m <- m + (g - m)(1 - b1)`,
    `v <- v - (1 - b2) sign(v - g^2) g^2`, which falls no faster than small squares allow where
    Adam's forgets by a factor, and `w <- w - lr m_hat / (sqrt(v_hat) + eps)` with Adam's
    corrections for the start.
    """
    m = m + (gradient - m) * (1.0 - beta_1)
    square = tf.square(gradient)
    v = v - (1.0 - beta_2) * tf.sign(v - square) * square
    m_hat, root = corrected(m, v, beta_1_power, beta_2_power, epsilon)
    return learning_rate * m_hat / root, m, v


class Yogi(Optimizer):
    """A second moment that forgets at a bounded pace, see `yogi_step`.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Pace of v, in [0, 1).
        epsilon: Added to the corrected root.
        initial_accumulator_value: First value of v, at least 0.
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    compiles_up_to = ANY
    slot_meanings = {"momentum": MEAN}

    def __init__(
        self,
        learning_rate: float | Callable = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-3,
        *,
        initial_accumulator_value: float = 1e-6,
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
        self.beta_1 = check_mean("beta_1", beta_1)
        self.beta_2 = check_mean("beta_2", beta_2)
        self.epsilon = check_epsilon(epsilon)
        self.slot_names = ("momentum", "velocity")
        self.initial_accumulator_value = check_least(
            "initial_accumulator_value", initial_accumulator_value, 0.0
        )

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """A mean of zeros, and the initial second moment."""
        value = tf.cast(self.initial_accumulator_value, variable.dtype)
        zeros = super().initial_slots(variable, name)
        return zeros | {"velocity": tf.fill(variable.shape, value)}

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The powers of both betas."""
        return powers(self.beta_1, self.beta_2, step)

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and moments."""
        change, m, v = yogi_step(
            gradient,
            slots["momentum"],
            slots["velocity"],
            learning_rate=learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            beta_1_power=scalars["beta_1_power"],
            beta_2_power=scalars["beta_2_power"],
            epsilon=self.epsilon,
        )
        return weight - change, {"momentum": m, "velocity": v}
