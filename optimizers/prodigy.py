"""Prodigy (Mishchenko & Defazio 2024): Adam that finds its learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from optimizers.adam import adam_rate, powers
from optimizers.base import Optimizer
from optimizers.checks import check_epsilon, check_mean
from optimizers.slots import Item
from optimizers.variables import local


def prodigy_evidence(
    gradient: tf.Tensor,
    weight: tf.Tensor,
    start: tf.Tensor,
    s: tf.Tensor,
    *,
    share: tf.Tensor,
    beta_3: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What one variable adds to the estimate of d: (`<g, w_0 - w>`, `|s|_1`, new s).

    `s <- b3 s + share g`; share is `(d / d0) e`, see `prodigy_distance`.
    """
    s = beta_3 * s + share * gradient
    return tf.reduce_sum(gradient * (start - weight)), tf.reduce_sum(tf.abs(s)), s


def prodigy_distance(
    d: tf.Tensor,
    r: tf.Tensor,
    product: tf.Tensor,
    norm: tf.Tensor,
    *,
    rate: tf.Tensor,
    initial_d: float,
    coefficient: float,
    beta_3: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The estimate of the distance: (new d, new r). Mishchenko & Defazio 2024, algorithm 4.

    `r <- b3 r + (d / d0) e <g, w_0 - w>` and `d <- max(d, c r / |s|_1)` with the sums over all
    variables of what `prodigy_evidence` gives, and `e = d lr` (rate).
    """
    r = beta_3 * r + d / initial_d * rate * product
    return tf.maximum(d, coefficient * tf.math.divide_no_nan(r, norm)), r


def prodigy_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    *,
    rate: tf.Tensor,
    d: tf.Tensor,
    new_d: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of Prodigy: (what to subtract from the weights, new m, new v).

    Algorithm 4 of the paper: `m <- b1 m + (1 - b1) d g`, `v <- b2 v + (1 - b2)(d g)^2` and
    `w <- w - e m / (sqrt(v) + d eps)`, where the last d is the new one and e is the rate.
    """
    scaled = d * gradient
    m = beta_1 * m + (1.0 - beta_1) * scaled
    v = beta_2 * v + (1.0 - beta_2) * tf.square(scaled)
    return rate * m / (tf.sqrt(v) + new_d * epsilon), m, v


class Prodigy(Optimizer):
    """Prodigy: d estimates the distance to the solution from below, and scales Adam's steps.

    See `prodigy_distance` and `prodigy_step`. The inner product and the norm are over all variables
    together, so d is one number for all.

    Args:
        learning_rate: A factor of d, 1 or a schedule that begins at 1.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Times d, added to the root.
        beta_3: Decay of r and s; None: the root of beta_2.
        initial_d: d0, positive and smaller than the distance.
        d_coefficient: c: 2 or 0.5 asks for larger or smaller steps.
        bias_correction: Whether e has Adam's corrections for the start.
        safeguard_warmup: Whether s is without the learning rate, for warm-ups from very small
            rates.
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    slots_of_weights = ("initial",)

    def __init__(
        self,
        learning_rate: float | Callable = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        beta_3: float | None = None,
        initial_d: float = 1e-6,
        d_coefficient: float = 1.0,
        bias_correction: bool = False,
        safeguard_warmup: bool = False,
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
        self.beta_3 = check_mean("beta_3", self.beta_2**0.5 if beta_3 is None else beta_3)
        self.epsilon = check_epsilon(epsilon)
        if not initial_d > 0:
            raise ValueError(f"initial_d={initial_d} must be positive.")
        self.initial_d = initial_d
        self.d_coefficient = d_coefficient
        self.bias_correction = bias_correction
        self.safeguard_warmup = safeguard_warmup
        self.slot_names = ("momentum", "velocity", "weighted_sum", "initial")
        self.d = tf.Variable(initial_d, trainable=False, dtype=tf.float32, name="d")
        self.numerator = tf.Variable(0.0, trainable=False, name="numerator")

    def extra_variables(self) -> list[tf.Variable]:
        """d, and the numerator r of its estimate."""
        return [self.d, self.numerator]

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """Zeros; the weights to measure from are those before the first update."""
        zeros = super().initial_slots(variable, name)
        return zeros | {"initial": variable.read_value()}

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The corrections for the start, or 1."""
        if not self.bias_correction:
            return {"correction": tf.ones([], step.dtype)}
        power = powers(self.beta_1, self.beta_2, step)
        one = tf.ones([], step.dtype)
        return {"correction": adam_rate(one, power["beta_1_power"], power["beta_2_power"])}

    def update_all(
        self, items: Sequence[Item], scalars: Mapping[tf.DType, Mapping[str, Any]]
    ) -> None:
        """Move the estimate d by all gradients, then every variable."""
        d, numerator = local(self.d), local(self.numerator)
        old = tf.convert_to_tensor(d)
        first = tf.equal(local(self.iterations), 0)
        correction = tf.cast(next(iter(scalars.values()))["correction"], tf.float32)
        rate = old * self.learning_rate * correction
        share = old / self.initial_d * (old if self.safeguard_warmup else rate)
        product, norm = [], []
        moved = []
        for item in items:
            item.densify()
            weight, slots, g = item.now(), item.read(), item.gradient
            start = tf.where(first, weight, slots["initial"])
            along, size, total = prodigy_evidence(
                g,
                weight,
                start,
                slots["weighted_sum"],
                share=tf.cast(share, item.dtype),
                beta_3=self.beta_3,
            )
            product.append(tf.cast(along, tf.float32))
            norm.append(tf.cast(size, tf.float32))
            moved.append((weight, slots, {"weighted_sum": total, "initial": start}))
        new, new_numerator = prodigy_distance(
            old,
            tf.convert_to_tensor(numerator),
            tf.add_n(product),
            tf.add_n(norm),
            rate=rate,
            initial_d=self.initial_d,
            coefficient=self.d_coefficient,
            beta_3=self.beta_3,
        )
        for item, (weight, slots, extra) in zip(items, moved, strict=True):
            step = tf.cast(old * correction, item.dtype) * item.learning_rate
            change, m, v = prodigy_step(
                item.gradient,
                slots["momentum"],
                slots["velocity"],
                rate=step,
                d=tf.cast(old, item.dtype),
                new_d=tf.cast(new, item.dtype),
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )
            if item.weight_decay is not None:
                change += item.weight_decay * step * weight
            item.write(weight - change, {"momentum": m, "velocity": v, **extra})
        d.assign(new)
        numerator.assign(new_numerator)
