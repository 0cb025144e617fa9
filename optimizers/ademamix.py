"""AdEMAMix (Pagliardini et al. 2024): a fast and a very slow mean of the gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.adam import corrected, moments, powers
from optimizers.base import Optimizer
from optimizers.checks import check_count, check_epsilon, check_mean
from optimizers.one_program import ANY
from optimizers.slots import MEAN, SQUARES


def ademamix_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    n: tf.Tensor,
    v: tf.Tensor,
    scalars: Mapping[str, Any],
    *,
    learning_rate: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of AdEMAMix: (what to subtract from the weights, new m, new n, new v).

    Pagliardini et al. 2024, algorithm 1: `w <- w - lr (m_hat + alpha n) / (sqrt(v_hat) + eps)` with
    Adam's m and v and the slow mean `n <- n + (g - n)(1 - b3)`, which is not corrected.

    Args:
        gradient: g.
        m: Mean of the gradients.
        n: Slow mean of the gradients.
        v: Mean of their squares.
        scalars: "alpha" and "beta_3" of this step (see `slow_memory`), "beta_1_power" and
            "beta_2_power".
        learning_rate: lr.
        beta_1: Decay of m.
        beta_2: Decay of v.
        epsilon: Added to the corrected root.
    """
    m, v = moments(gradient, m, v, beta_1, beta_2)
    n = n + (gradient - n) * (1.0 - scalars["beta_3"])
    m_hat, root = corrected(m, v, scalars["beta_1_power"], scalars["beta_2_power"], epsilon)
    return learning_rate * (m_hat + scalars["alpha"] * n) / root, m, n, v


def slow_memory(
    part: tf.Tensor, *, alpha: float, beta_1: float, beta_3: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """(alpha, b3) after a part of the warm-up, from 0 to 1.

    Alpha rises linearly, and b3 so that its half-life does, from that of b1 (the paper's
    appendix A.1): `ln b1 ln b3 / ((1 - part) ln b3 + part ln b1)` is its logarithm.
    """
    first, last = math.log(beta_1), math.log(beta_3)
    slow = tf.exp(first * last / ((1.0 - part) * last + part * first))
    return alpha * part, tf.minimum(slow, beta_3)


class AdEMAMix(Optimizer):
    """Old gradients help on, tens of thousands of steps later, see `ademamix_step`.

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

    compiles_up_to = ANY
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
        alpha, beta_3 = slow_memory(part, alpha=self.alpha, beta_1=self.beta_1, beta_3=self.beta_3)
        return found | {"alpha": alpha, "beta_3": beta_3}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and means."""
        change, m, n, v = ademamix_step(
            gradient,
            slots["momentum"],
            slots["slow_momentum"],
            slots["velocity"],
            scalars,
            learning_rate=learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        return weight - change, {"momentum": m, "slow_momentum": n, "velocity": v}
