"""AdaBelief (Zhuang et al. 2020): steps by how far a gradient was foreseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.adam import powers
from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.slots import MEAN


class AdaBelief(Optimizer):
    """AdaBelief, algorithm 2 of the paper: Adam with the variance of g around m.

    `s <- b2 s + (1 - b2)(g - m)^2 + eps` in the place of v; the step is Adam's corrected one.

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
        m = slots["momentum"] + (gradient - slots["momentum"]) * (1.0 - self.beta_1)
        s = self.beta_2 * slots["velocity"] + (1.0 - self.beta_2) * tf.square(gradient - m)
        s += self.epsilon
        root = tf.sqrt(s / (1.0 - scalars["beta_2_power"])) + self.epsilon
        change = learning_rate * (m / (1.0 - scalars["beta_1_power"])) / root
        return weight - change, {"momentum": m, "velocity": s}
