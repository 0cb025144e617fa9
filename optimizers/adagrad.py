"""Adagrad (Duchi et al. 2011) and Adadelta (Zeiler 2012): rates that fall with past gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from optimizers.base import Optimizer, check_epsilon, check_range


def adagrad_step(
    gradient: tf.Tensor, accumulator: tf.Tensor, *, learning_rate: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step: (what to subtract from the weights, new accumulator).

    `a <- a + g^2` and `w <- w - lr g / sqrt(a + eps)`, epsilon inside the root as in Keras.
    """
    accumulator = accumulator + tf.square(gradient)
    return learning_rate * gradient / tf.sqrt(accumulator + epsilon), accumulator


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


class Adagrad(Optimizer):
    """Adagrad, see `adagrad_step`.

    Args:
        learning_rate: A number or a schedule.
        initial_accumulator_value: First value of the sum of squares, at least 0.
        epsilon: Added inside the root.
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
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *,
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
        if not initial_accumulator_value >= 0:
            raise ValueError(
                f"initial_accumulator_value={initial_accumulator_value} must be at least 0."
            )
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = check_epsilon(epsilon)
        self.slot_names = ("accumulator",)

    def initial_slot(self, slot: str, variable: tf.Variable) -> tf.Tensor:
        """The initial accumulator value everywhere."""
        del slot
        return tf.fill(variable.shape, tf.cast(self.initial_accumulator_value, variable.dtype))

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Variable],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
    ) -> None:
        """Move one variable and its sum of squares."""
        accumulator = slots["accumulator"]
        change, new_accumulator = adagrad_step(
            gradient, accumulator, learning_rate=learning_rate, epsilon=self.epsilon
        )
        accumulator.assign(new_accumulator)
        variable.assign_sub(change)


class Adadelta(Optimizer):
    """Adadelta, see `adadelta_step`.

    Args:
        learning_rate: A number or a schedule.
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
        self.rho = check_range("rho", rho, 0.0, 1.0)
        self.epsilon = check_epsilon(epsilon)
        self.slot_names = ("accumulated_grad", "accumulated_delta_var")

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Variable],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
    ) -> None:
        """Move one variable and its running means."""
        grad_square, delta_square = slots["accumulated_grad"], slots["accumulated_delta_var"]
        delta, new_grad_square, new_delta_square = adadelta_step(
            gradient, grad_square, delta_square, rho=self.rho, epsilon=self.epsilon
        )
        grad_square.assign(new_grad_square)
        delta_square.assign(new_delta_square)
        variable.assign_add(learning_rate * delta)
