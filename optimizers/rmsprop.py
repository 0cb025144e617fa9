"""RMSprop (Hinton 2012, lecture 6e), centred and with momentum (Graves 2013)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_range
from optimizers.kernels import share_of_one, takes_in
from optimizers.one_program import ANY
from optimizers.rates import once
from optimizers.slots import SQUARES, Item


def rmsprop_step(
    gradient: tf.Tensor,
    v: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    rho: float,
    epsilon: float,
    mean: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """One step: (what to subtract from the weights, new v, new mean of the gradients).

    `v <- rho v + (1 - rho) g^2` and `w <- w - lr g / sqrt(v + eps)`, epsilon inside the root as in
    Keras. With `mean` (centred) the root is of `v - mean^2 + eps`.
    """
    v = rho * v + (1.0 - rho) * tf.square(gradient)
    variance = v
    if mean is not None:
        mean = rho * mean + (1.0 - rho) * gradient
        variance = v - tf.square(mean)
    return learning_rate * gradient / tf.sqrt(variance + epsilon), v, mean


class RMSprop(Optimizer):
    """RMSprop, see `rmsprop_step`.

    Args:
        learning_rate: A number or a schedule.
        rho: Decay of the mean of the squares, in [0, 1).
        momentum: In [0, 1]: `b <- momentum b + step` and `w <- w - b`; 0 keeps no such slot.
        epsilon: Added inside the root.
        centered: Whether to divide by an estimate of the variance rather than of the second moment.
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
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        *,
        centered: bool = False,
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
        self.rho = check_range("rho", rho, 0.0, 1.0)
        self.momentum = check_range("momentum", momentum, 0.0, 1.0)
        self.epsilon = check_epsilon(epsilon)
        self.centered = centered
        self.slot_names = (
            ("velocity",)
            + (("momentum",) if momentum else ())
            + (("average_gradient",) if centered else ())
        )

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """Room for the kernel's rates."""
        return {"rates": {}}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and moments."""
        change, v, mean = rmsprop_step(
            gradient,
            slots["velocity"],
            learning_rate=learning_rate,
            rho=self.rho,
            epsilon=self.epsilon,
            mean=slots.get("average_gradient"),
        )
        moved = {"velocity": v}
        if mean is not None:
            moved["average_gradient"] = mean
        if self.momentum:
            change = self.momentum * slots["momentum"] + change
            moved["momentum"] = change
        return weight - change, moved

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """TensorFlow's kernels, which always keep a momentum."""
        if not self.momentum or not takes_in(self.rho, item.dtype):
            return False
        item.decay_now()
        share = share_of_one(self.rho, item.dtype)
        shared = {
            "var": item.variable.handle,
            "ms": item.slots["velocity"].handle,
            "mom": item.slots["momentum"].handle,
            "lr": once(item.learning_rate, scalars["rates"], lambda rate: rate * share**0.5),
            "rho": tf.cast(self.rho, item.dtype),
            "momentum": tf.cast(self.momentum, item.dtype),
            "epsilon": tf.cast(self.epsilon * share, item.dtype),
            "grad": item.gradient,
        }
        if self.centered:
            mean = item.slots["average_gradient"].handle
            tf.raw_ops.ResourceApplyCenteredRMSProp(mg=mean, **shared)
        else:
            tf.raw_ops.ResourceApplyRMSProp(**shared)
        return True
