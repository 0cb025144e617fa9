"""Nadam (Dozat 2016): Adam with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.one_program import ANY
from optimizers.slots import MEAN, SQUARES
from optimizers.variables import local


def nadam_step(
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
    """One step of Nadam: (what to subtract from the weights, new m, new v).

    Dozat 2016, algorithm 2. With `mu_t = b1 (1 - 0.96^t / 2)` as in Keras (in the paper
    `b1 (1 - 0.96^(t / 250) / 2)`, a rise 250 times as slow) and the running product
    `u_t = mu_1 ... mu_t`: `m_hat = mu_{t+1} m / (1 - u_t mu_{t+1}) + (1 - mu_t) g / (1 - u_t)`,
    `v_hat = v / (1 - b2^t)` and `w <- w - lr m_hat / (sqrt(v_hat) + eps)`.

    Args:
        gradient: g.
        m: Mean of the gradients.
        v: Mean of their squares.
        scalars: mu ("mu_t"), the next ("mu_next"), "u_product" and "beta_2_power".
        learning_rate: lr.
        beta_1: Decay of m.
        beta_2: Decay of v.
        epsilon: Added to the root.
    """
    mu, mu_next, product = scalars["mu_t"], scalars["mu_next"], scalars["u_product"]
    m = m + (gradient - m) * (1.0 - beta_1)
    v = v + (tf.square(gradient) - v) * (1.0 - beta_2)
    m_hat = mu_next * m / (1.0 - product * mu_next) + (1.0 - mu) * gradient / (1.0 - product)
    v_hat = v / (1.0 - scalars["beta_2_power"])
    return m_hat * learning_rate / (tf.sqrt(v_hat) + epsilon), m, v


class Nadam(Optimizer):
    """Adam with Nesterov's momentum, see `nadam_step`.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Added to the divisor.
        paper: Whether the momentum rises as slowly as in the paper, by `0.96^(t / 250)`.
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
        self.u_product = tf.Variable(1.0, trainable=False, name="u_product")

    def extra_variables(self) -> list[tf.Variable]:
        """The running product of the momenta."""
        return [self.u_product]

    def begin(self, step: tf.Tensor) -> None:
        """Take this step's momentum into the running product."""
        product = local(self.u_product)
        product.assign(product * self._momentum(step))

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The momenta of this step and the next, their product so far, the power of beta_2."""
        return {
            "mu_t": self._momentum(step),
            "mu_next": self._momentum(step + 1.0),
            "u_product": tf.cast(tf.convert_to_tensor(local(self.u_product)), step.dtype),
            "beta_2_power": tf.pow(tf.cast(self.beta_2, step.dtype), step),
        }

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and moments."""
        change, m, v = nadam_step(
            gradient,
            slots["momentum"],
            slots["velocity"],
            scalars,
            learning_rate=learning_rate,
            beta_1=_rounded(self.beta_1, weight.dtype),
            beta_2=_rounded(self.beta_2, weight.dtype),
            epsilon=self.epsilon,
        )
        return weight - change, {"momentum": m, "velocity": v}

    def _momentum(self, step: tf.Tensor) -> tf.Tensor:
        """The momentum of one step, mu."""
        rise = step / 250.0 if self.paper else step
        return self.beta_1 * (1.0 - 0.5 * tf.pow(tf.constant(0.96, step.dtype), rise))


def _rounded(beta: float, dtype: tf.DType) -> float:
    # 1 - beta of the moments must be the 1 - beta of the correction 1 - beta^t, whose power is
    # taken in float32: at 0.999 the two differ by 1.3e-5. (16 bits would round 0.999 to 1.)
    return float(np.float32(beta)) if dtype == tf.float32 else beta
