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


def soap_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    left: tf.Tensor | None,
    right: tf.Tensor | None,
    *,
    first: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of SOAP: (the direction, new m, new v). Vyas et al. 2024, algorithm 3.

    `G' = Q_L^T G Q_R`, `v <- b2 v + (1 - b2) G'^2`, and the direction is Adam's
    `m / (sqrt(v) + eps)` with m rotated in and the result rotated back.

    Args:
        gradient: G, seen as a matrix by `as_matrix`.
        m: Mean of the gradients, not rotated.
        v: Mean of the squares of the rotated ones.
        left: The basis Q_L, or None.
        right: The basis Q_R, or None.
        first: Whether this is the first update, which only finds the bases: v and m stay.
        beta_1: Decay of m.
        beta_2: Decay of v.
        epsilon: Added to the root.
    """

    def turned(x: tf.Tensor, turn: Callable[..., tf.Tensor]) -> tf.Tensor:
        matrix = as_matrix(x) if x.shape.rank > 1 else x
        return tf.reshape(turn(matrix, left, right), gradient.shape)

    m = tf.where(first, m, m + (gradient - m) * (1.0 - beta_1))
    v = tf.where(first, v, v + (tf.square(turned(gradient, rotate)) - v) * (1.0 - beta_2))
    return turned(turned(m, rotate) / (tf.sqrt(v) + epsilon), rotate_back), m, v


def soap_basis(
    gradient: tf.Tensor,
    statistic: tf.Tensor,
    basis: tf.Tensor,
    *,
    left: bool,
    first: tf.Tensor,
    due: tf.Tensor,
    shampoo_beta: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One side's (new statistic, new basis): `L <- s L + (1 - s) G G^T`, right `G^T G`.

    The basis is found by `first_basis` at the first update, and by `renewed_basis` when due.
    """
    matrix = as_matrix(gradient)
    square = tf.matmul(matrix, matrix, transpose_a=not left, transpose_b=left)
    statistic = statistic + (square - statistic) * (1.0 - shampoo_beta)
    basis = tf.cond(
        first,
        lambda: first_basis(statistic),
        lambda: tf.cond(due, lambda: renewed_basis(statistic, basis), lambda: basis),
    )
    return statistic, basis


class SOAP(Optimizer):
    """SOAP, see `soap_step`: Adam's v lives in the eigenbasis of G G^T and G^T G.

    The bases (see `soap_basis`) follow by one power iteration and a QR decomposition every
    `precondition_frequency` updates. The first update only finds the bases. Vectors, and sides
    larger than `largest`, are not rotated.

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
    slots_of_sides = ("left", "left_basis", "right", "right_basis")

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
        step, m, v = soap_step(
            gradient,
            slots["momentum"],
            slots["velocity"],
            slots.get("left_basis"),
            slots.get("right_basis"),
            first=scalars["first"],
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        rate = shared_rate(learning_rate, scalars)
        rate = tf.where(scalars["first"], tf.zeros_like(learning_rate), rate)
        moved = {"momentum": m, "velocity": v}
        for side in ("left", "right"):
            if side in slots:
                moved[side], moved[f"{side}_basis"] = soap_basis(
                    gradient,
                    slots[side],
                    slots[f"{side}_basis"],
                    left=side == "left",
                    first=scalars["first"],
                    due=scalars["due"],
                    shampoo_beta=self.shampoo_beta,
                )
        return weight - rate * step, moved
