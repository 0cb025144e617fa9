"""AdEMAMix (Pagliardini et al. 2024): a fast and a very slow mean of the gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.adam import powers
from optimizers.base import Optimizer
from optimizers.checks import check_count, check_epsilon, check_mean
from optimizers.slots import MEAN, SQUARES


class AdEMAMix(Optimizer):
    """AdEMAMix, algorithm 1 of the paper: old gradients help on, tens of thousands of steps later.

    `w <- w - lr (m_hat + alpha n) / (sqrt(v_hat) + eps)` with Adam's m and v and the slow mean
    `n <- b3 n + (1 - b3) g`, which is not corrected. Over `warmup_steps` alpha rises linearly, and
    b3 so that its half-life does, from that of b1.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Added to the corrected root.
        beta_3: Decay of the slow mean, in [0, 1).
        alpha: Weight of the slow mean.
        warmup_steps: The paper's T_alpha and T_beta3; 0: none. Long runs take all their steps.
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    slot_meanings = {"momentum": MEAN, "velocity": SQUARES}

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        beta_3: float = 0.9999,
        alpha: float = 5.0,
        warmup_steps: int = 0,
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
        self.beta_3 = check_mean("beta_3", beta_3)
        self.epsilon = check_epsilon(epsilon)
        self.alpha = alpha
        self.warmup_steps = check_count("warmup_steps", warmup_steps, 0)
        if self.warmup_steps and not 0.0 < beta_1 < beta_3:
            raise ValueError(
                f"warmup_steps={warmup_steps} needs 0 < beta_1={beta_1} < beta_3={beta_3}."
            )
        self.slot_names = ("momentum", "slow_momentum", "velocity")

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The powers of both betas, and alpha and b3 of this step."""
        found = powers(self.beta_1, self.beta_2, step)
        if not self.warmup_steps:
            return found | {"alpha": self.alpha, "beta_3": self.beta_3}
        part = tf.minimum(step / self.warmup_steps, 1.0)
        first, last = math.log(self.beta_1), math.log(self.beta_3)
        beta_3 = tf.exp(first * last / ((1.0 - part) * last + part * first))
        return found | {"alpha": self.alpha * part, "beta_3": tf.minimum(beta_3, self.beta_3)}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and means."""
        m, n, v = slots["momentum"], slots["slow_momentum"], slots["velocity"]
        m = m + (gradient - m) * (1.0 - self.beta_1)
        n = n + (gradient - n) * (1.0 - scalars["beta_3"])
        v = v + (tf.square(gradient) - v) * (1.0 - self.beta_2)
        root = tf.sqrt(v / (1.0 - scalars["beta_2_power"])) + self.epsilon
        mixed = m / (1.0 - scalars["beta_1_power"]) + scalars["alpha"] * n
        moved = {"momentum": m, "slow_momentum": n, "velocity": v}
        return weight - learning_rate * mixed / root, moved
