"""RAdam (Liu et al. 2020): Adam that waits until its second moment can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.adam import corrected, moments, powers
from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.one_program import ANY
from optimizers.slots import MEAN, SQUARES


def rectification(beta_2: float, step: tf.Tensor, threshold: float) -> tuple[tf.Tensor, tf.Tensor]:
    """(whether v can be trusted, the factor r of the step), section 5.3 of the paper.

    `rho_inf = 2 / (1 - b2) - 1` and `rho_t = rho_inf - 2 t b2^t / (1 - b2^t)` is the length of the
    simple average that v amounts to; r is the root of
    `(rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t)`.
    """
    power = tf.pow(tf.cast(beta_2, step.dtype), step)
    longest = 2.0 / (1.0 - beta_2) - 1.0
    length = longest - 2.0 * step * power / (1.0 - power)
    sure = length >= threshold
    length = tf.maximum(length, 4.0)
    share = (length - 4.0) * (length - 2.0) * longest
    return sure, tf.sqrt(share / ((longest - 4.0) * (longest - 2.0) * length))


def radam_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    scalars: Mapping[str, tf.Tensor],
    *,
    learning_rate: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of RAdam: (what to subtract from the weights, new m, new v).

    Liu et al. 2020, algorithm 2: while v is an average of too few squares, `w <- w - lr m_hat`;
    from then on Adam's corrected step `w <- w - lr r m_hat / (sqrt(v_hat) + eps)`.

    Args:
        gradient: g.
        m: Mean of the gradients.
        v: Mean of their squares.
        scalars: "sure" and the "factor" r of `rectification`, "beta_1_power" and "beta_2_power".
        learning_rate: lr.
        beta_1: Decay of m.
        beta_2: Decay of v.
        epsilon: Added to the corrected root.
    """
    m, v = moments(gradient, m, v, beta_1, beta_2)
    m_hat, root = corrected(m, v, scalars["beta_1_power"], scalars["beta_2_power"], epsilon)
    direction = tf.where(scalars["sure"], scalars["factor"] * m_hat / root, m_hat)
    return learning_rate * direction, m, v


class RAdam(Optimizer):
    """RAdam, see `radam_step`: needs no warm-up.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Added to the corrected root.
        threshold: Least length of the average that is trusted; the paper's is just above 4.
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
        threshold: float = 5.0,
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
        self.threshold = threshold

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The powers of both betas, whether v is trusted, and the factor."""
        sure, factor = rectification(self.beta_2, step, self.threshold)
        return powers(self.beta_1, self.beta_2, step) | {"sure": sure, "factor": factor}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and moments."""
        change, m, v = radam_step(
            gradient,
            slots["momentum"],
            slots["velocity"],
            scalars,
            learning_rate=learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        return weight - change, {"momentum": m, "velocity": v}
