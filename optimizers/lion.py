"""Lion (Chen et al. 2023): the sign of an interpolated momentum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_range
from optimizers.one_program import ANY
from optimizers.slots import MEAN


def lion_step(
    gradient: tf.Tensor, m: tf.Tensor, beta_1: float, beta_2: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of Lion: (direction, new momentum). Chen et al. 2023, algorithm 2.

    `direction = sign(b1 m + (1 - b1) g)`, then `m <- b2 m + (1 - b2) g`; `w <- w - lr direction`.
    """
    direction = tf.sign(m * beta_1 + gradient * (1.0 - beta_1))
    return direction, m * beta_2 + gradient * (1.0 - beta_2)


class Lion(Optimizer):
    """Lion, see `lion_step`. It wants a rate 3 to 10 times smaller than Adam's.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Weight of the momentum in the direction, in (0, 1].
        beta_2: Decay of the momentum, in [0, 1].
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
        beta_2: float = 0.99,
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
        self.beta_1 = check_range("beta_1", beta_1, 0.0, 1.0)
        if beta_1 == 0:
            raise ValueError("beta_1=0 leaves the sign of the gradient only; choose it in (0, 1].")
        self.beta_2 = check_range("beta_2", beta_2, 0.0, 1.0)
        self.slot_names = ("momentum",)

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and momentum."""
        direction, momentum = lion_step(gradient, slots["momentum"], self.beta_1, self.beta_2)
        return weight - learning_rate * direction, {"momentum": momentum}
