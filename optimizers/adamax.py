"""Adamax (Kingma & Ba 2015, section 7.1): Adam with the infinity norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.slots import MEAN, Item


def adamax_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    u: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    beta_1_power: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of Adamax: (what to subtract from the weights, new m, new u).

    `m <- m + (g - m)(1 - b1)`, `u <- max(b2 u, |g|)`, `w <- w - lr m / ((1 - b1^t)(u + eps))`.
    """
    m = m + (gradient - m) * (1.0 - beta_1)
    u = tf.maximum(beta_2 * u, tf.abs(gradient))
    return learning_rate * m / ((1.0 - beta_1_power) * (u + epsilon)), m, u


class Adamax(Optimizer):
    """Adam with the infinity norm, see `adamax_step`.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the largest magnitude, in [0, 1).
        epsilon: Added to the divisor; the paper's is 0.
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
        epsilon: float = 1e-7,
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
        self.slot_names = ("momentum", "norm")

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The power of beta_1."""
        return {"beta_1_power": tf.pow(tf.cast(self.beta_1, step.dtype), step)}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights, momentum and norm."""
        change, m, u = adamax_step(
            gradient,
            slots["momentum"],
            slots["norm"],
            learning_rate=learning_rate,
            beta_1_power=scalars["beta_1_power"],
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        return weight - change, {"momentum": m, "norm": u}

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """TensorFlow's kernel."""
        item.decay_now()
        tf.raw_ops.ResourceApplyAdaMax(
            var=item.variable.handle,
            m=item.slots["momentum"].handle,
            v=item.slots["norm"].handle,
            beta1_power=scalars["beta_1_power"],
            lr=item.learning_rate,
            beta1=tf.cast(self.beta_1, item.dtype),
            beta2=tf.cast(self.beta_2, item.dtype),
            epsilon=tf.cast(self.epsilon, item.dtype),
            grad=item.gradient,
        )
        return True
