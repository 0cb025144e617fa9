"""Adam (Kingma & Ba 2015), AMSGrad (Reddi et al. 2018) and AdamW (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.kernels import share_of_mean, takes_in
from optimizers.rates import once
from optimizers.slots import MEAN, SQUARES, Item


def adam_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    *,
    rate: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float | tf.Tensor,
    v_max: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """One step of Adam: (what to subtract from the weights, new m, new v, new maximum of v).

    `m <- m + (g - m)(1 - b1)`, `v <- v + (g^2 - v)(1 - b2)`, `w <- w - rate m / (sqrt(v) + eps)`,
    with the bias corrections in `rate` (see `adam_rate`): the "epsilon hat" form of the paper's
    section 2, which Keras uses. With `v_max` (AMSGrad) the root is of `max(v_max, v)`, uncorrected.
    """
    m, v = moments(gradient, m, v, beta_1, beta_2)
    largest = v
    if v_max is not None:
        v_max = largest = tf.maximum(v_max, v)
    return m * rate / (tf.sqrt(largest) + epsilon), m, v, v_max


def moments(
    gradient: tf.Tensor, m: tf.Tensor, v: tf.Tensor, beta_1: float, beta_2: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """The running means of the gradient and of its square, moved by one step."""
    m = m + (gradient - m) * (1.0 - beta_1)
    return m, v + (tf.square(gradient) - v) * (1.0 - beta_2)


def corrected(
    m: tf.Tensor, v: tf.Tensor, beta_1_power: tf.Tensor, beta_2_power: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """(`m_hat`, `sqrt(v_hat) + eps`): unbiased at the start, as in algorithm 1."""
    return m / (1.0 - beta_1_power), tf.sqrt(v / (1.0 - beta_2_power)) + epsilon


def adam_rate(
    learning_rate: tf.Tensor, beta_1_power: tf.Tensor, beta_2_power: tf.Tensor
) -> tf.Tensor:
    """`lr sqrt(1 - b2^t) / (1 - b1^t)`: the learning rate with both bias corrections."""
    return learning_rate * tf.sqrt(1.0 - beta_2_power) / (1.0 - beta_1_power)


def powers(beta_1: float, beta_2: float, step: tf.Tensor) -> dict[str, Any]:
    """`b1^t` and `b2^t` in the dtype of `step`, and room for what is made of them once."""
    return {
        "beta_1_power": tf.pow(tf.cast(beta_1, step.dtype), step),
        "beta_2_power": tf.pow(tf.cast(beta_2, step.dtype), step),
        "rates": {},
    }


def shared_rate(learning_rate: tf.Tensor, scalars: Mapping[str, Any]) -> tf.Tensor:
    """`adam_rate`, computed once for all variables with the same learning rate."""
    powers_now = scalars["beta_1_power"], scalars["beta_2_power"]
    return once(learning_rate, scalars["rates"], lambda rate: adam_rate(rate, *powers_now))


class Adam(Optimizer):
    """Adam, see `adam_step`.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Added to the root; Keras's 1e-7 is the paper's "epsilon hat".
        amsgrad: Whether to divide by the largest v so far.
        paper: Whether epsilon is added to the corrected root, as in the paper's algorithm 1 (its
            epsilon is 1e-8).
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    slot_meanings = {"momentum": MEAN, "velocity": SQUARES}

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        amsgrad: bool = False,
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
        self.amsgrad = amsgrad
        self.paper = paper
        self.slot_names = ("momentum", "velocity") + (("velocity_hat",) if amsgrad else ())

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The powers of both betas, epsilon for the uncorrected root, and both for the kernel."""
        found = powers(self.beta_1, self.beta_2, step)
        epsilon: Any = self.epsilon
        if self.paper:
            epsilon *= tf.sqrt(1.0 - found["beta_2_power"])
        root = tf.sqrt(share_of_mean(self.beta_2, step))
        kernel = {
            "of_rate": root / share_of_mean(self.beta_1, step),
            "epsilon": tf.cast(epsilon, step.dtype) * root,
            "rates": {},
        }
        return found | {"epsilon": epsilon, "kernel": kernel}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and moments."""
        change, m, v, v_max = adam_step(
            gradient,
            slots["momentum"],
            slots["velocity"],
            rate=shared_rate(learning_rate, scalars),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=scalars["epsilon"],
            v_max=slots.get("velocity_hat"),
        )
        moved = {"momentum": m, "velocity": v}
        return weight - change, moved if v_max is None else moved | {"velocity_hat": v_max}

    def kernel(self, item: Item, scalars: Mapping[str, Any]) -> bool:
        """TensorFlow's kernel: one pass over memory instead of ten."""
        # AMSGrad's kernel does not compile under XLA; a beta of 1 would take in nothing.
        if self.amsgrad or not takes_in(self.beta_2, item.dtype):
            return False
        item.decay_now()
        own = scalars["kernel"]
        tf.raw_ops.ResourceApplyAdam(
            var=item.variable.handle,
            m=item.slots["momentum"].handle,
            v=item.slots["velocity"].handle,
            beta1_power=scalars["beta_1_power"],
            beta2_power=scalars["beta_2_power"],
            lr=once(item.learning_rate, own["rates"], lambda rate: rate * own["of_rate"]),
            beta1=tf.cast(self.beta_1, item.dtype),
            beta2=tf.cast(self.beta_2, item.dtype),
            epsilon=own["epsilon"],
            grad=item.gradient,
        )
        return True


class AdamW(Adam):
    """Adam with decoupled weight decay (default 0.004, times the learning rate, before the update).

    Args:
        learning_rate: A number or a schedule.
        weight_decay: A number, a schedule or a variable; see `Optimizer`.
        beta_1: See `Adam`, as for the rest.
        beta_2: See `Adam`.
        epsilon: See `Adam`.
        amsgrad: See `Adam`.
        paper: See `Adam`.
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
        weight_decay: float | Callable = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        amsgrad: bool = False,
        paper: bool = False,
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
            paper=paper,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            name=name,
        )
