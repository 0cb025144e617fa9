"""Adam (Kingma & Ba 2015), AMSGrad (Reddi et al. 2018) and AdamW (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from optimizers.base import Optimizer, check_epsilon, check_range
from optimizers.variables import has_handle

BELOW_ONE = 1.0 - 1e-9
"""The largest decay: at 1 the bias correction would divide by 0."""


def adam_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    *,
    rate: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    v_max: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """One step of Adam: (what to subtract from the weights, new m, new v, new maximum of v).

    `m <- m + (g - m)(1 - b1)`, `v <- v + (g^2 - v)(1 - b2)`, `w <- w - rate m / (sqrt(v) + eps)`,
    with the bias corrections in `rate` (see `adam_rate`): the "epsilon hat" form of the paper's
    section 2, which Keras uses. With `v_max` (AMSGrad) the root is of `max(v_max, v)`, uncorrected.
    """
    m = m + (gradient - m) * (1.0 - beta_1)
    v = v + (tf.square(gradient) - v) * (1.0 - beta_2)
    largest = v
    if v_max is not None:
        v_max = largest = tf.maximum(v_max, v)
    return m * rate / (tf.sqrt(largest) + epsilon), m, v, v_max


def adam_rate(
    learning_rate: tf.Tensor, beta_1_power: tf.Tensor, beta_2_power: tf.Tensor
) -> tf.Tensor:
    """`lr sqrt(1 - b2^t) / (1 - b1^t)`: the learning rate with both bias corrections."""
    return learning_rate * tf.sqrt(1.0 - beta_2_power) / (1.0 - beta_1_power)


class Adam(Optimizer):
    """Adam, see `adam_step`.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Added to the root; Keras's 1e-7 is the paper's "epsilon hat".
        amsgrad: Whether to divide by the largest v so far.
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
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        amsgrad: bool = False,
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
        self.beta_1 = check_range("beta_1", beta_1, 0.0, BELOW_ONE)
        self.beta_2 = check_range("beta_2", beta_2, 0.0, BELOW_ONE)
        self.epsilon = check_epsilon(epsilon)
        self.amsgrad = amsgrad
        self.slot_names = ("momentum", "velocity") + (("velocity_hat",) if amsgrad else ())

    def scalars(self, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """The powers of both betas."""
        return {
            "beta_1_power": tf.pow(tf.cast(self.beta_1, step.dtype), step),
            "beta_2_power": tf.pow(tf.cast(self.beta_2, step.dtype), step),
        }

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Variable],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
    ) -> None:
        """Move one variable and its moments."""
        # AMSGrad's kernel does not compile under XLA.
        if self.fused and not self.amsgrad and has_handle(variable):
            self._update_fused(variable, gradient, slots, learning_rate, scalars)
            return
        m, v, v_max = slots["momentum"], slots["velocity"], slots.get("velocity_hat")
        change, new_m, new_v, new_max = adam_step(
            gradient,
            m,
            v,
            rate=adam_rate(learning_rate, scalars["beta_1_power"], scalars["beta_2_power"]),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            v_max=v_max,
        )
        m.assign(new_m)
        v.assign(new_v)
        if v_max is not None:
            v_max.assign(new_max)
        variable.assign_sub(change)

    def _update_fused(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Variable],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
    ) -> None:
        """The same by TensorFlow's kernel: one pass over memory instead of ten."""
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=slots["momentum"].handle,
            v=slots["velocity"].handle,
            beta1_power=scalars["beta_1_power"],
            beta2_power=scalars["beta_2_power"],
            lr=learning_rate,
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=gradient,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (default 0.004, times the learning rate, before the update).

    Args:
        learning_rate: A number or a schedule.
        weight_decay: A number; see `Optimizer`.
        beta_1: See `Adam`, as for the rest.
        beta_2: See `Adam`.
        epsilon: See `Adam`.
        amsgrad: See `Adam`.
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
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str | None = None,
    ):
        if weight_decay is None:
            raise ValueError("weight_decay=None: AdamW needs a number; without decay use Adam.")
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad=amsgrad,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            name=name,
        )
