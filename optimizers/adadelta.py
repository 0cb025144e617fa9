"""Adadelta (Zeiler 2012): steps in the units of the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_range
from optimizers.kernels import share_of_one, takes_in
from optimizers.slots import Item


def adadelta_step(
    gradient: tf.Tensor,
    grad_square: tf.Tensor,
    delta_square: tf.Tensor,
    *,
    rho: float,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step: (the delta to add to the weights, new mean of g^2, new mean of delta^2).

    `delta = -sqrt(d + eps) / sqrt(a + eps) g` with the running means a of g^2 and d of delta^2
    (Zeiler 2012, algorithm 1); Keras multiplies the delta by a learning rate, the paper's is 1.
    """
    grad_square = rho * grad_square + (1.0 - rho) * tf.square(gradient)
    delta = -tf.sqrt(delta_square + epsilon) * gradient / tf.sqrt(grad_square + epsilon)
    return delta, grad_square, rho * delta_square + (1.0 - rho) * tf.square(delta)


class Adadelta(Optimizer):
    """Adadelta, see `adadelta_step`.

    Args:
        learning_rate: A number or a schedule; the paper's is 1.
        rho: Decay of both running means, in [0, 1].
        epsilon: Added inside the roots.
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
        learning_rate: float | Callable = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
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
        self.rho = check_range("rho", rho, 0.0, 1.0)
        self.epsilon = check_epsilon(epsilon)
        self.slot_names = ("accumulated_grad", "accumulated_delta_var")

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and running means."""
        delta, grad_square, delta_square = adadelta_step(
            gradient,
            slots["accumulated_grad"],
            slots["accumulated_delta_var"],
            rho=self.rho,
            epsilon=self.epsilon,
        )
        moved = {"accumulated_grad": grad_square, "accumulated_delta_var": delta_square}
        return weight + learning_rate * delta, moved

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """TensorFlow's kernel."""
        if not takes_in(self.rho, item.dtype):
            return False
        item.decay_now()
        # Both of its means are off alike, so that it cancels but for epsilon.
        epsilon = self.epsilon * share_of_one(self.rho, item.dtype)
        tf.raw_ops.ResourceApplyAdadelta(
            var=item.variable.handle,
            accum=item.slots["accumulated_grad"].handle,
            accum_update=item.slots["accumulated_delta_var"].handle,
            lr=item.learning_rate,
            rho=tf.cast(self.rho, item.dtype),
            epsilon=tf.cast(epsilon, item.dtype),
            grad=item.gradient,
        )
        return True
