"""Shampoo (Gupta et al. 2018): a full preconditioner for each side of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_count, check_epsilon, check_range
from optimizers.variables import local


def sides(shape: tf.TensorShape, largest: int) -> dict[str, int]:
    """Which sides of a variable, seen as a matrix, have a preconditioner, and how large it is.

    The last axis makes the columns ("right"), all others the rows ("left"). Sides of one number
    or of more than `largest` have none.
    """
    columns = shape[-1] if shape.rank > 1 else 1
    rows = shape.num_elements() // max(columns, 1)
    return {k: n for k, n in (("left", rows), ("right", columns)) if 1 < n <= largest}


def inverse_root(x: tf.Tensor, power: float, epsilon: float) -> tf.Tensor:
    """`(x + eps I)^(-1/power)` of a symmetric matrix with eigenvalues of at least 0."""
    values, vectors = tf.linalg.eigh(precise(x))
    roots = tf.pow(tf.maximum(values, 0.0) + epsilon, -1.0 / power)
    return tf.cast(tf.matmul(vectors * roots, vectors, transpose_b=True), x.dtype)


def precise(x: tf.Tensor) -> tf.Tensor:
    """In float32 where it has 16 bits: decompositions know no less."""
    return tf.cast(x, tf.float32) if x.dtype in (tf.bfloat16, tf.float16) else x


def accumulated(total: tf.Tensor, new: tf.Tensor, beta_2: float) -> tf.Tensor:
    """The sum of both where `beta_2` is 1, else their running mean."""
    return total + new if beta_2 == 1.0 else beta_2 * total + (1.0 - beta_2) * new


def shampoo_step(
    gradient: tf.Tensor,
    slots: Mapping[str, tf.Tensor],
    due: tf.Tensor,
    *,
    beta_2: float,
    epsilon: float,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """One step of Shampoo: (the direction, the slots that moved); `w <- w - lr direction`.

    Gupta et al. 2018, algorithm 1: `L <- L + G G^T`, `R <- R + G^T G`, and the direction is
    `L^(-1/4) G R^(-1/4)` for a gradient G seen as a matrix; with one side alone its exponent is
    -1/2, and with none the direction is Adagrad's, `g / sqrt(a + eps)`.

    Args:
        gradient: g.
        slots: L and R as "left" and "right" with their last roots, "left_root" and "right_root";
            or a, the sum of the squares, as "accumulator".
        due: Whether the roots are renewed, a bool scalar.
        beta_2: Decay of the sums; 1 adds up.
        epsilon: Added to the eigenvalues.
    """
    if "accumulator" in slots:
        total = accumulated(slots["accumulator"], tf.square(gradient), beta_2)
        return gradient / tf.sqrt(total + epsilon), {"accumulator": total}
    moved: dict[str, tf.Tensor] = {}
    found = [name for name in ("left", "right") if name in slots]
    direction = matrix = as_matrix(gradient)
    for side in found:
        left = side == "left"
        square = tf.matmul(matrix, matrix, transpose_a=not left, transpose_b=left)
        total = moved[side] = accumulated(slots[side], square, beta_2)
        root = moved[f"{side}_root"] = tf.cond(
            due,
            lambda x=total: inverse_root(x, 2.0 * len(found), epsilon),
            lambda x=slots[f"{side}_root"]: x,
        )
        direction = root @ direction if left else direction @ root
    return tf.reshape(direction, gradient.shape), moved


class Shampoo(Optimizer):
    """Shampoo, see `shampoo_step`: the gradient between two inverse roots.

    A gradient is seen as a matrix, see `sides`. The roots take an eigendecomposition and are
    renewed every `update_every` updates.

    Args:
        learning_rate: A number or a schedule.
        momentum: Of the preconditioned steps, in [0, 1]; 0 keeps no such slot.
        epsilon: Added to the eigenvalues.
        beta_2: Decay of L and R, in [0, 1]; 1 adds up, as in the paper.
        update_every: Updates between two renewals of the roots.
        largest: The largest side with a preconditioner.
        weight_decay: See `Optimizer`, as for the rest.
        clipnorm: See `Optimizer`.
        clipvalue: See `Optimizer`.
        global_clipnorm: See `Optimizer`.
        use_ema: See `Optimizer`.
        ema_momentum: See `Optimizer`.
        ema_overwrite_frequency: See `Optimizer`.
        name: See `Optimizer`.
    """

    slots_of_sides = ("left", "left_root", "right", "right_root")

    def __init__(
        self,
        learning_rate: float | Callable = 0.01,
        momentum: float = 0.9,
        epsilon: float = 1e-4,
        *,
        beta_2: float = 1.0,
        update_every: int = 1,
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
        self.momentum = check_range("momentum", momentum, 0.0, 1.0)
        self.epsilon = check_epsilon(epsilon)
        self.beta_2 = check_range("beta_2", beta_2, 0.0, 1.0)
        self.update_every = check_count("update_every", update_every)
        self.largest = check_count("largest", largest)
        self.slot_names = ("momentum",) if momentum else ()

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """Zeros for the sums, the identity for the roots."""
        slots = super().initial_slots(variable, name)
        found = sides(variable.shape, self.largest)
        for side, n in found.items():
            slots[side] = tf.zeros([n, n], variable.dtype)
            slots[f"{side}_root"] = tf.eye(n, dtype=variable.dtype)
        return slots if found else slots | {"accumulator": tf.zeros(variable.shape, variable.dtype)}

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """Whether the roots are renewed."""
        del step
        return {"due": tf.equal(local(self.iterations) % self.update_every, 0)}

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights, sums and roots."""
        direction, moved = shampoo_step(
            gradient, slots, scalars["due"], beta_2=self.beta_2, epsilon=self.epsilon
        )
        if self.momentum:
            direction = moved["momentum"] = self.momentum * slots["momentum"] + direction
        return weight - learning_rate * direction, moved


def as_matrix(x: tf.Tensor) -> tf.Tensor:
    """A view `[m, n]` with the last axis for columns: kernels of convolutions too."""
    return tf.reshape(x, [-1, x.shape[-1] if x.shape.rank > 1 else 1])
