"""Stochastic gradient descent, with momentum (Polyak 1964; Nesterov's: Sutskever et al. 2013)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from optimizers.base import Optimizer, check_range
from optimizers.variables import has_handle


def momentum_step(
    gradient: tf.Tensor,
    velocity: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    momentum: float,
    nesterov: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step with momentum: (what to add to the weights, the new velocity).

    `v <- mu v - lr g` and `w <- w + v`, or with Nesterov `w <- w + mu v - lr g`. The learning rate
    is inside the velocity, as in Keras: a change of the rate does not reach old gradients.
    """
    velocity = velocity * momentum - gradient * learning_rate
    if nesterov:
        return velocity * momentum - gradient * learning_rate, velocity
    return velocity, velocity


class SGD(Optimizer):
    """Gradient descent: `w -= lr g`, or `momentum_step`.

    Args:
        learning_rate: A number or a schedule.
        momentum: In [0, 1]; 0 keeps no velocity.
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

    def __init__(
        self,
        learning_rate: float | Callable = 0.01,
        momentum: float = 0.0,
        *,
        nesterov: bool = False,
        weight_decay: float | None = None,
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
        self.nesterov = nesterov
        self.slot_names = ("momentum",) if momentum else ()

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Variable],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
    ) -> None:
        """Move one variable and its velocity."""
        if not self.momentum:
            variable.assign_sub(gradient * learning_rate)
            return
        velocity = slots["momentum"]
        if self.fused and has_handle(variable):
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle,
                accum=velocity.handle,
                lr=learning_rate,
                grad=gradient,
                momentum=tf.cast(self.momentum, variable.dtype),
                use_nesterov=self.nesterov,
            )
            return
        change, new_velocity = momentum_step(
            gradient,
            velocity,
            learning_rate=learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
        velocity.assign(new_velocity)
        variable.assign_add(change)

    def update_sparse(
        self, variable: tf.Variable, gradient: tf.IndexedSlices, learning_rate: tf.Tensor
    ) -> bool:
        """Without momentum only the rows with a gradient move, so only they are touched."""
        if self.momentum:
            return False
        step = tf.IndexedSlices(gradient.values * learning_rate, gradient.indices)
        variable.scatter_sub(step)
        return True
