"""Stochastic gradient descent, with momentum (Polyak 1964; Nesterov's: Sutskever et al. 2013)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_range
from optimizers.slots import Item


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
        self.nesterov = nesterov
        self.slot_names = ("momentum",) if momentum else ()

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and velocity."""
        if not self.momentum:
            return weight - gradient * learning_rate, {}
        change, velocity = momentum_step(
            gradient,
            slots["momentum"],
            learning_rate=learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
        return weight + change, {"momentum": velocity}

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """TensorFlow's kernels, with and without momentum."""
        variable = item.variable
        item.decay_now()
        if not self.momentum:
            variable.assign_sub(item.gradient * item.learning_rate, read_value=False)
            return True
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=item.slots["momentum"].handle,
            lr=item.learning_rate,
            grad=item.gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )
        return True

    def update_sparse(self, item: Item) -> bool:
        """Without momentum only the rows with a gradient move, so only they are touched."""
        if self.momentum:
            return False
        item.decay_now()
        step = item.gradient.values * item.learning_rate
        item.variable.scatter_sub(tf.IndexedSlices(step, item.gradient.indices))
        return True
