"""AdaBelief (Zhuang et al. 2020): steps by how far a gradient was foreseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.adam import corrected, powers
from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.one_program import ANY
from optimizers.slots import MEAN


def adabelief_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    s: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    beta_1: float,
    beta_2: float,
    beta_1_power: tf.Tensor,
    beta_2_power: tf.Tensor,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of AdaBelief: (what to subtract from the weights, new m, new s).

    Zhuang et al. 2020, algorithm 2: `m <- m + (g - m)(1 - b1)`,
    `s <- b2 s + (1 - b2)(g - m)^2 + eps` in the place of Adam's v, the variance of g around m, and
    `w <- w - lr m_hat / (sqrt(s_hat) + eps)` with Adam's corrections.
    """
    m = m + (gradient - m) * (1.0 - beta_1)
    s = beta_2 * s + (1.0 - beta_2) * tf.square(gradient - m) + epsilon
    m_hat, root = corrected(m, s, beta_1_power, beta_2_power, epsilon)
    return learning_rate * m_hat / root, m, s


class AdaBelief(Optimizer):
    """Adam with the variance of the gradient around its mean, see `adabelief_step`.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the variance, in [0, 1).
        epsilon: Added to s at each step and to its root.
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
        learning_rate: float | Callable = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-16,
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
        self.beta_1 = check_mean("beta_1", beta_1)
        self.beta_2 = check_mean("beta_2", beta_2)
        self.epsilon = check_epsilon(epsilon)
        self.slot_names = ("momentum", "velocity")

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
        """The new weights, mean and variance."""
        change, m, s = adabelief_step(
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
        return weight - change, {"momentum": m, "velocity": s}
