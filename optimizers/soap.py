"""SOAP (Vyas et al. 2024): Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.adam import shared_rate
from optimizers.base import Optimizer
from optimizers.checks import check_count, check_epsilon, check_mean
from optimizers.shampoo import as_matrix, precise, sides
from optimizers.slots import MEAN
from optimizers.variables import local


def renewed_basis(statistic: tf.Tensor, basis: tf.Tensor) -> tf.Tensor:
    """One power iteration: the orthogonal factor of `statistic @ basis` (algorithm 4)."""
    return tf.cast(tf.linalg.qr(precise(statistic @ basis)).q, basis.dtype)


def first_basis(statistic: tf.Tensor) -> tf.Tensor:
    """The eigenvectors, largest eigenvalues first: the order that power iteration keeps."""
    vectors = tf.linalg.eigh(precise(statistic))[1]
    return tf.cast(tf.reverse(vectors, [1]), statistic.dtype)


def rotate(x: tf.Tensor, left: tf.Tensor | None, right: tf.Tensor | None) -> tf.Tensor:
    """`left^T x right`, where a side that is None stays."""
    x = x if left is None else tf.matmul(left, x, transpose_a=True)
    return x if right is None else x @ right


def rotate_back(x: tf.Tensor, left: tf.Tensor | None, right: tf.Tensor | None) -> tf.Tensor:
    """`left x right^T`, which undoes `rotate`."""
    x = x if left is None else left @ x
    return x if right is None else tf.matmul(x, right, transpose_b=True)


class SOAP(Optimizer):
    """SOAP, algorithm 3 of the paper: Adam's v lives in the eigenbasis of G G^T and G^T G.

    `G' = Q_L^T G Q_R`, `v <- b2 v + (1 - b2) G'^2`, and the step is Adam's with m rotated in and
    the result rotated back. `L <- s L + (1 - s) G G^T`, R alike; the bases follow by one power
    iteration and a QR decomposition every `precondition_frequency` updates. The first update only
    finds the bases. Vectors, and sides larger than `largest`, are not rotated.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the mean of the gradients, in [0, 1).
        beta_2: Decay of the mean of the rotated squares, in [0, 1).
        epsilon: Added to the root.
        shampoo_beta: s, in [0, 1); None: beta_2.
        precondition_frequency: Updates between two renewals of the bases.
        largest: The largest side that is rotated.
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    slot_meanings = {"momentum": MEAN}

    def __init__(
        self,
        learning_rate: float | Callable = 3e-3,
        beta_1: float = 0.95,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        *,
        shampoo_beta: float | None = None,
        precondition_frequency: int = 10,
        largest: int = 1024,
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
        self.shampoo_beta = check_mean(
            "shampoo_beta", beta_2 if shampoo_beta is None else shampoo_beta
        )
        self.precondition_frequency = check_count("precondition_frequency", precondition_frequency)
        self.largest = check_count("largest", largest)
        self.slot_names = ("momentum", "velocity")

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """Adam's moments, and a statistic and a basis for each side."""
        slots = super().initial_slots(variable, name)
        if variable.shape.rank < 2:
            return slots
        for side, n in sides(variable.shape, self.largest).items():
            slots[side] = tf.zeros([n, n], variable.dtype)
            slots[f"{side}_basis"] = tf.eye(n, dtype=variable.dtype)
        return slots

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The corrections of this step, and whether it is the first or renews the bases."""
        # The first update does not count: nothing moves in it.
        count = tf.maximum(step - 1.0, 1.0)
        number = tf.convert_to_tensor(local(self.iterations))
        return {
            "beta_1_power": tf.pow(tf.cast(self.beta_1, step.dtype), count),
            "beta_2_power": tf.pow(tf.cast(self.beta_2, step.dtype), count),
            "rates": {},
            "first": tf.equal(number, 0),
            "due": tf.equal(number % self.precondition_frequency, 0),
        }

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights, moments, statistics and bases."""
        first = scalars["first"]
        matrix = as_matrix(gradient) if gradient.shape.rank > 1 else gradient
        left, right = slots.get("left_basis"), slots.get("right_basis")
        mean, square = slots["momentum"], slots["velocity"]
        m = tf.where(first, mean, mean + (gradient - mean) * (1.0 - self.beta_1))
        rotated = tf.reshape(rotate(matrix, left, right), gradient.shape)
        v = square + (tf.square(rotated) - square) * (1.0 - self.beta_2)
        v = tf.where(first, square, v)
        inside = tf.reshape(rotate(tf.reshape(m, matrix.shape), left, right), gradient.shape)
        step = inside / (tf.sqrt(v) + self.epsilon)
        step = rotate_back(tf.reshape(step, matrix.shape), left, right)
        rate = tf.where(first, tf.zeros_like(learning_rate), shared_rate(learning_rate, scalars))
        moved = {"momentum": m, "velocity": v, **self._bases(matrix, slots, scalars)}
        return weight - rate * tf.reshape(step, gradient.shape), moved

    def _bases(
        self, matrix: tf.Tensor, slots: Mapping[str, tf.Tensor], scalars: Mapping[str, Any]
    ) -> dict[str, tf.Tensor]:
        moved = {}
        for side in ("left", "right"):
            if side not in slots:
                continue
            left = side == "left"
            square = tf.matmul(matrix, matrix, transpose_a=not left, transpose_b=left)
            statistic = slots[side] + (square - slots[side]) * (1.0 - self.shampoo_beta)
            basis = slots[f"{side}_basis"]
            moved[side] = statistic
            moved[f"{side}_basis"] = tf.cond(
                scalars["first"],
                lambda x=statistic: first_basis(x),
                lambda x=statistic, q=basis: tf.cond(
                    scalars["due"], lambda: renewed_basis(x, q), lambda: q
                ),
            )
        return moved
