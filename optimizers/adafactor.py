"""Adafactor (Shazeer & Stern 2018): Adam's second moment in one row and one column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_epsilon
from optimizers.clipping import square_sum
from optimizers.one_program import NORMS
from optimizers.slots import SQUARES


def factored_direction(gradient: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """`g / sqrt(v)` with the second moment v that its means over rows and columns stand for.

    `v = row column / mean(row)`: of all matrices with these means, the one with the least
    generalised Kullback-Leibler divergence (section 3 of the paper). The two roots are taken one
    by one: where a whole row and a whole column never had a gradient v is below the smallest
    float32, and 0 / sqrt(v) would be NaN (as it is in Keras).

    Args:
        gradient: g, `[..., m, n]`.
        row: Means of the squares along the last axis, `[..., m]`.
        column: Means along the last but one, `[..., n]`.
    """
    share = row / tf.reduce_mean(row, axis=-1, keepdims=True)
    # The product of both first: under XLA a quarter faster for large matrices.
    return gradient * (tf.math.rsqrt(share)[..., :, None] * tf.math.rsqrt(column)[..., None, :])


def rms(x: tf.Tensor) -> tf.Tensor:
    """Root of the mean square, a scalar."""
    return tf.sqrt(square_sum(x) / tf.cast(tf.size(x), x.dtype))


def adafactor_step(
    weight: tf.Tensor,
    gradient: tf.Tensor,
    moment: Mapping[str, tf.Tensor],
    *,
    rate: tf.Tensor,
    beta_2: tf.Tensor,
    epsilon_1: float,
    epsilon_2: float,
    clip_threshold: float,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """One step of Adafactor: (what to subtract from the weights, the new second moment).

    Shazeer & Stern 2018, algorithms 4 and 5: `v <- b2 v + (1 - b2)(g^2 + eps_1)`, and
    `u = g / sqrt(v)` is scaled down to a root mean square of `clip_threshold`;
    `w <- w - max(eps_2, RMS(w)) rho u`.

    Args:
        weight: w.
        gradient: g.
        moment: v as "velocity", or its means as "row" and "column" (see `factored_direction`).
        rate: rho.
        beta_2: b2 of this step.
        epsilon_1: Added to the squares.
        epsilon_2: Least root mean square of the weights that scales a step.
        clip_threshold: Largest root mean square of u.
    """
    square = tf.square(gradient) + epsilon_1
    new = {"velocity": square}
    if "velocity" not in moment:
        new = {name: tf.reduce_mean(square, axis) for name, axis in (("row", -1), ("column", -2))}
    moved = {name: beta_2 * moment[name] + (1.0 - beta_2) * value for name, value in new.items()}
    if "velocity" in moved:
        u = gradient / tf.sqrt(moved["velocity"])
    else:
        u = factored_direction(gradient, moved["row"], moved["column"])
    u /= tf.maximum(1.0, rms(u) / clip_threshold)
    return tf.maximum(epsilon_2, rms(weight)) * rate * u, moved


class Adafactor(Optimizer):
    """Adafactor without momentum, see `adafactor_step`; rho is `min(lr, 1 / sqrt(t))`.

    The mean v of the squares decays by `1 - t^beta_2_decay`; of variables with two axes or more it
    is kept as its means over the last axis and the last but one (slots "row" and "column"), which
    is m + n numbers in place of m n. (Keras keeps all m n besides.)

    Args:
        learning_rate: A number or a schedule.
        beta_2_decay: Exponent of the decay, below 0.
        epsilon_1: Added to the squares.
        epsilon_2: Least root mean square of the weights that scales a step.
        clip_threshold: Largest root mean square of u, positive.
        relative_step: Whether the rate falls as `1 / sqrt(t)` once that is below `learning_rate`.
            Keras does that in either case.
        paper: Whether `relative_step=False` takes the learning rate as it is, as the paper means it
            (whose relative rate is at most 0.01).
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    compiles_up_to = NORMS
    slot_meanings = {"velocity": SQUARES}

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        *,
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
        if not beta_2_decay < 0:
            raise ValueError(f"beta_2_decay={beta_2_decay} must be below 0.")
        if not clip_threshold > 0:
            raise ValueError(f"clip_threshold={clip_threshold} must be positive.")
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = check_epsilon(epsilon_1, "epsilon_1")
        self.epsilon_2 = check_epsilon(epsilon_2, "epsilon_2")
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step
        self.paper = paper

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """A row and a column, or the whole second moment of vectors and scalars."""
        del name
        shape = variable.shape
        if shape.rank < 2:
            return {"velocity": tf.zeros(shape, variable.dtype)}
        return {
            "row": tf.zeros(shape[:-1], variable.dtype),
            "column": tf.zeros(shape[:-2] + shape[-1:], variable.dtype),
        }

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The decay of this step, and the largest relative rate."""
        return {
            "beta_2": 1.0 - tf.pow(step, tf.cast(self.beta_2_decay, step.dtype)),
            "most": 1.0 / tf.sqrt(step),
        }

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and second moment."""
        rho = learning_rate
        if self.relative_step or not self.paper:
            rho = tf.minimum(rho, scalars["most"])
        change, moved = adafactor_step(
            weight,
            gradient,
            slots,
            rate=rho,
            beta_2=scalars["beta_2"],
            epsilon_1=self.epsilon_1,
            epsilon_2=self.epsilon_2,
            clip_threshold=self.clip_threshold,
        )
        return weight - change, moved
