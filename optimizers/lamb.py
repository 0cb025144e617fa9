"""LAMB (You et al. 2020): Adam with a rate for each variable, for large batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.adam import moments, powers
from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.clipping import square_sum
from optimizers.one_program import NORMS
from optimizers.slots import MEAN, SQUARES, Item


def trust_ratio(weight: tf.Tensor, update: tf.Tensor, scale: float | tf.Tensor = 1.0) -> tf.Tensor:
    """`|w| / |scale u|`, or 1 where either is 0: a scalar."""
    w, u = tf.sqrt(square_sum(weight)), scale * tf.sqrt(square_sum(update))
    one = tf.ones([], w.dtype)
    return tf.where((w > 0) & (u > 0), w / tf.where(u > 0, u, one), one)


def lamb_step(
    weight: tf.Tensor,
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
    weight_decay: float | tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of LAMB: (what to subtract from the weights, new m, new v).

    You et al. 2020, algorithm 2: `r = m_hat / (sqrt(v_hat) + eps) + d w` with Adam's corrected
    moments and the weight decay d, and `w <- w - lr |w| / |r| r` (see `trust_ratio`).
    """
    m, v = moments(gradient, m, v, beta_1, beta_2)
    # Both corrections are drawn into the scalar s: m_hat / (sqrt(v_hat) + eps) = s r.
    root = tf.sqrt(1.0 - beta_2_power)
    s = root / (1.0 - beta_1_power)
    r = m / (tf.sqrt(v) + epsilon * root)
    if weight_decay is not None:
        s, r = 1.0, s * r + weight_decay * weight
    return (trust_ratio(weight, r, s) * learning_rate * s) * r, m, v


class Lamb(Optimizer):
    """LAMB, see `lamb_step`: Adam's direction, as long as the weights of its variable.

    Keras decays the weights beforehand, apart from the ratio; `paper=True` adds
    `weight_decay * w` to r, so that the ratio sees it.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Added to the corrected root (the paper's is 1e-6).
        paper: Whether the weight decay is part of r.
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
    slot_meanings = {"momentum": MEAN, "velocity": SQUARES}

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = check_mean("beta_1", beta_1)
        self.beta_2 = check_mean("beta_2", beta_2)
        self.epsilon = check_epsilon(epsilon)
        self.paper = paper
        self.slot_names = ("momentum", "velocity")

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The powers of both betas."""
        return powers(self.beta_1, self.beta_2, step)

    def update(self, item: Item, scalars: Mapping[str, Any]) -> None:
        """Move one variable; the paper's decay belongs to the direction, not before it."""
        if self.paper and item.weight_decay is not None:
            scalars, item.decay = {**scalars, "decay": item.weight_decay}, None
        super().update(item, scalars)

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and moments."""
        change, m, v = lamb_step(
            weight,
            gradient,
            slots["momentum"],
            slots["velocity"],
            learning_rate=learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            beta_1_power=scalars["beta_1_power"],
            beta_2_power=scalars["beta_2_power"],
            epsilon=self.epsilon,
            weight_decay=scalars.get("decay"),
        )
        return weight - change, {"momentum": m, "velocity": v}
