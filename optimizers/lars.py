"""LARS (You et al. 2017): momentum with a rate for each variable, for large batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_range
from optimizers.clipping import square_sum
from optimizers.one_program import NORMS
from optimizers.slots import Item


def lars_rate(
    weight: tf.Tensor,
    gradient: tf.Tensor,
    *,
    trust_coefficient: float,
    weight_decay: float | tf.Tensor,
    epsilon: float,
) -> tf.Tensor:
    """The local rate `c |w| / (|g| + d |w| + eps)`, or 1 where |w| or |g| is 0: a scalar."""
    w, g = tf.sqrt(square_sum(weight)), tf.sqrt(square_sum(gradient))
    both = (w > 0) & (g > 0)
    divisor = tf.where(both, g + weight_decay * w + epsilon, tf.ones([], w.dtype))
    return tf.where(both, trust_coefficient * w / divisor, tf.ones([], w.dtype))


def lars_step(
    weight: tf.Tensor,
    gradient: tf.Tensor,
    velocity: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    momentum: float,
    trust_coefficient: float,
    weight_decay: float | tf.Tensor,
    epsilon: float,
    nesterov: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of LARS: (what to subtract from the weights, the new velocity).

    You et al. 2017, algorithm 1: `v <- mu v + lr l (g + d w)`, `w <- w - v` with the local rate l
    of `lars_rate` and the weight decay d; with Nesterov `w <- w - (mu v + lr l (g + d w))`.
    """
    local_rate = lars_rate(
        weight,
        gradient,
        trust_coefficient=trust_coefficient,
        weight_decay=weight_decay,
        epsilon=epsilon,
    )
    step = learning_rate * local_rate * (gradient + weight_decay * weight)
    velocity = momentum * velocity + step
    return momentum * velocity + step if nesterov else velocity, velocity


class LARS(Optimizer):
    """LARS, see `lars_step`: momentum with a rate for each variable.

    The decay is part of the gradient. Biases and scales of normalisations are usually spared both:
    give them to another optimizer with `Groups`.

    Args:
        learning_rate: A number or a schedule.
        momentum: In [0, 1].
        trust_coefficient: c, positive.
        epsilon: Added to the divisor of the local rate.
        nesterov: Whether to look ahead.
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    compiles_up_to = NORMS

    def __init__(
        self,
        learning_rate: float | Callable = 0.1,
        momentum: float = 0.9,
        *,
        trust_coefficient: float = 0.001,
        epsilon: float = 0.0,
        nesterov: bool = False,
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
        self.momentum = check_range("momentum", momentum, 0.0, 1.0)
        if not trust_coefficient > 0:
            raise ValueError(f"trust_coefficient={trust_coefficient} must be positive.")
        self.trust_coefficient = trust_coefficient
        self.epsilon = check_epsilon(epsilon)
        self.nesterov = nesterov
        self.slot_names = ("momentum",)

    def update(self, item: Item, scalars: Mapping[str, Any]) -> None:
        """Move one variable; its decay is part of the gradient."""
        decay, item.decay = item.weight_decay, None
        super().update(item, {**scalars, "decay": 0.0 if decay is None else decay})

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and velocity."""
        change, velocity = lars_step(
            weight,
            gradient,
            slots["momentum"],
            learning_rate=learning_rate,
            momentum=self.momentum,
            trust_coefficient=self.trust_coefficient,
            weight_decay=scalars["decay"],
            epsilon=self.epsilon,
            nesterov=self.nesterov,
        )
        return weight - change, {"momentum": velocity}
