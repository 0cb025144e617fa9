"""ADOPT (Taniguchi et al. 2024): Adam that converges whatever beta_2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.one_program import ANY
from optimizers.slots import SQUARES


def adopt_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    *,
    first: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    bound: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of ADOPT: (new m, new v); `w <- w - lr m`. Taniguchi et al. 2024, algorithm 2.

    The gradient is scaled by the v from before it, then averaged:
    `m <- b1 m + (1 - b1) clip(g / max(sqrt(v), eps), c)`, and only then
    `v <- b2 v + (1 - b2) g^2`. The first update only sets `v = g^2`.

    Args:
        gradient: g.
        m: Mean of the scaled gradients.
        v: Mean of the squares.
        first: Whether this is the first update, a bool scalar.
        beta_1: Decay of m.
        beta_2: Decay of v.
        epsilon: Least root.
        bound: c, `(t - 1)^(1/4)` in the paper; None clips nothing.
    """
    square = tf.square(gradient)
    scaled = gradient / tf.maximum(tf.sqrt(v), epsilon)
    if bound is not None:
        scaled = tf.clip_by_value(scaled, -bound, bound)
    m = tf.where(first, m, m + (scaled - m) * (1.0 - beta_1))
    return m, tf.where(first, square, v + (square - v) * (1.0 - beta_2))


class ADOPT(Optimizer):
    """ADOPT, see `adopt_step`: a gradient is scaled by the v from before it, then averaged.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Least root.
        clip: Whether the scaled gradient is clipped to [-c, c].
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
    slot_meanings = {"velocity": SQUARES}

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.9999,
        epsilon: float = 1e-6,
        *,
        clip: bool = True,
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
        self.clips = clip
        self.slot_names = ("momentum", "velocity")

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """Whether this is the first update, and the bound c."""
        return {"first": step < 1.5, "bound": tf.pow(step - 1.0, tf.cast(0.25, step.dtype))}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and moments."""
        m, v = adopt_step(
            gradient,
            slots["momentum"],
            slots["velocity"],
            first=scalars["first"],
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            bound=scalars["bound"] if self.clips else None,
        )
        return weight - learning_rate * m, {"momentum": m, "velocity": v}
