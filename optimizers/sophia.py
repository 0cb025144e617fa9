"""Sophia (Liu et al. 2023): clipped Newton steps from an estimate of the Hessian's diagonal."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.one_program import ANY
from optimizers.slots import MEAN
from optimizers.variables import local, matched, unwrap


def hutchinson(
    loss_fn: Callable[[], tf.Tensor], variables: Sequence[Any], seed: tf.Tensor
) -> list[tf.Tensor]:
    """An unbiased estimate of the diagonal of the Hessian: `u * (H u)` with random signs u.

    Costs about two gradients. Hutchinson 1989; algorithm 1 of Liu et al. 2023.

    Args:
        loss_fn: Gives the mean loss, a scalar, from the variables.
        variables: What to differentiate by.
        seed: int32 `[2]`, another one each time.
    """
    inner = [unwrap(v) for v in variables]
    signs = []
    for i, v in enumerate(inner):
        bits = tf.random.stateless_uniform(
            v.shape, tf.add(seed, [i, 0]), minval=None, maxval=None, dtype=tf.uint32, alg="philox"
        )
        signs.append(tf.cast(bits & 1, v.dtype) * 2.0 - 1.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            loss = loss_fn()
        gradients = tape.gradient(loss, inner, unconnected_gradients="zero")
        along = tf.add_n([tf.reduce_sum(g * u) for g, u in zip(gradients, signs, strict=True)])
    products = outer.gradient(along, inner, unconnected_gradients="zero")
    return [tf.convert_to_tensor(p) * u for p, u in zip(products, signs, strict=True)]


def sophia_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    h: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    beta_1: float,
    gamma: float,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of Sophia: (what to subtract from the weights, new m).

    Liu et al. 2023, algorithm 3: `m <- m + (g - m)(1 - b1)` and
    `w <- w - lr clip(m / max(gamma h, eps), 1)` with h for the Hessian's diagonal.
    """
    m = m + (gradient - m) * (1.0 - beta_1)
    step = m / tf.maximum(gamma * h, tf.cast(epsilon, m.dtype))
    return learning_rate * tf.clip_by_value(step, -1.0, 1.0), m


class Sophia(Optimizer):
    """Clipped Newton steps, see `sophia_step`.

    h is a running mean of estimates of the Hessian's diagonal, which `update_hessian` takes every
    ten updates or so: from `hutchinson`, or (Gauss-Newton-Bartlett) the number of examples times
    the squared gradient of the mean loss on labels drawn from the model. It comes before `apply`,
    in the same step or loop: while h is 0 every weight moves by lr, whatever the curvature, and the
    first update without an estimate before it warns.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of the estimates, in [0, 1).
        epsilon: Least divisor, positive.
        gamma: The larger, the fewer weights are clipped: 0.01 for Hutchinson's estimates, 0.05 for
            Gauss-Newton-Bartlett.
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
        learning_rate: float | Callable = 1e-4,
        beta_1: float = 0.965,
        beta_2: float = 0.99,
        epsilon: float = 1e-12,
        *,
        gamma: float = 0.01,
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
        if not epsilon > 0 or not gamma > 0:
            raise ValueError(f"epsilon={epsilon} and gamma={gamma} must be positive.")
        self.gamma = gamma
        self.slot_names = ("momentum", "hessian")
        self._told = False

    def apply(self, grads: Sequence[Any], variables: Sequence[Any]) -> None:
        """One update of `variables` by `grads`; see `Optimizer.apply`.

        Warns:
            UserWarning: once, where no `update_hessian` came before.
        """
        if not self._told:
            self._told = True
            warnings.warn(
                "Sophia updates without an estimate of the Hessian: every weight moves by the "
                "learning rate. Call update_hessian(hutchinson(loss, variables, seed), variables) "
                "before apply, every ten updates or so.",
                stacklevel=2,
            )
        super().apply(grads, variables)

    def update_hessian(self, estimates: Sequence[Any], variables: Sequence[Any]) -> None:
        """Move h: `h <- b2 h + (1 - b2) estimate`.

        Args:
            estimates: One per variable, of its shape; None leaves its h alone.
            variables: Variables the optimizer was built for.

        Example:
            >>> import optimizers
            >>> w = tf.Variable([1.0, 1.0])
            >>> optimizer = optimizers.Sophia(0.1, beta_2=0.0, gamma=1.0)
            >>> optimizer.build([w])
            >>> loss = lambda: tf.reduce_sum(w * w * [1.0, 2.0])
            >>> estimates = optimizers.hutchinson(loss, [w], [0, 0])
            >>> optimizer.update_hessian(estimates, [w])
            >>> optimizer.slot("hessian", w).numpy().tolist()
            [2.0, 4.0]
        """
        self._told = True
        for estimate, variable in matched(estimates, list(variables)):
            h = local(self.slot("hessian", variable))
            new = tf.cast(estimate, h.dtype)
            h.assign(self.beta_2 * h + (1.0 - self.beta_2) * new, read_value=False)

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and mean."""
        change, m = sophia_step(
            gradient,
            slots["momentum"],
            slots["hessian"],
            learning_rate=learning_rate,
            beta_1=self.beta_1,
            gamma=self.gamma,
            epsilon=self.epsilon,
        )
        return weight - change, {"momentum": m}
