"""Schedule-Free AdamW (Defazio et al. 2024): an average in place of a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from optimizers.base import Optimizer
from optimizers.checks import check_count, check_epsilon, check_mean
from optimizers.one_program import ANY
from optimizers.slots import SQUARES, Item
from optimizers.variables import local


def averaged_weight(weight: tf.Tensor, z: tf.Tensor, beta_1: float) -> tf.Tensor:
    """The average x behind the weights `y = (1 - b1) z + b1 x`, at which gradients are taken."""
    return (weight - (1.0 - beta_1) * z) / beta_1


def schedule_free_step(
    weight: tf.Tensor,
    gradient: tf.Tensor,
    z: tf.Tensor,
    v: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    share: tf.Tensor,
    root: tf.Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float | tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of Schedule-Free AdamW: (new weights y, new z, new v). Algorithm 1 of the paper.

    `z <- z - lr (g / (sqrt(v_hat) + eps) + d y)`, `x <- (1 - c) x + c z`, `y <- (1 - b1) z + b1 x`.

    Args:
        weight: y, where gradients are taken.
        gradient: g.
        z: The weights that make steps.
        v: Mean of the squares.
        learning_rate: lr.
        share: c, the share of this step's z in the average x.
        root: `sqrt(1 - b2^t)`, the root of the correction of v.
        beta_1: Weight of the average in y.
        beta_2: Decay of v.
        epsilon: Added to the corrected root.
        weight_decay: d, or None.
    """
    # Of the betas as v's dtype has them, as Keras does: so that v and its correction are of one b2.
    beta_1, beta_2 = (tf.cast(beta, v.dtype) for beta in (beta_1, beta_2))
    v = v + (tf.square(gradient) - v) * (1.0 - beta_2)
    # lr g / (sqrt(v_hat) + epsilon), with the correction drawn into the scalars.
    change = (learning_rate * root) * gradient / (tf.sqrt(v) + epsilon * root)
    if weight_decay is not None:
        change += (learning_rate * weight_decay) * weight
    new = z - change
    # (1 - b1) z + b1 x of the new z and x, x written as y and z: two passes fewer. From the new z
    # rather than from the change, which XLA would compute once for y and once more for z.
    kept = 1.0 - share
    y = kept * weight - (kept * (1.0 - beta_1)) * z + (1.0 - kept * beta_1) * new
    return y, new, v


class ScheduleFreeAdamW(Optimizer):
    """Schedule-Free AdamW, see `schedule_free_step`: no schedule, no end date.

    The variables hold y, where gradients are taken; evaluate with x: `with optimizer.evaluating():`
    (with `use_ema` that gives the moving average of y, as in the other optimizers).
    Keras averages with c = 1/t and decays y alone; `paper=True` weighs each step by its squared
    learning rate (the largest so far), so that a warm-up counts little, and decays z at y.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Weight of the average in y, in (0, 1).
        beta_2: Decay of the mean of their squares, in [0, 1).
        epsilon: Added to the corrected root.
        warmup_steps: Steps over which the rate rises linearly.
        paper: See above.
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
    slots_of_weights = ("momentum",)

    slot_meanings = {"velocity": SQUARES}

    def __init__(
        self,
        learning_rate: float | Callable = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        self.beta_1 = check_mean("beta_1", beta_1)
        if beta_1 == 0:
            raise ValueError("beta_1=0 leaves nothing of the average in the weights; use (0, 1).")
        self.beta_2 = check_mean("beta_2", beta_2)
        self.epsilon = check_epsilon(epsilon)
        self.warmup_steps = check_count("warmup_steps", warmup_steps, 0)
        self.paper = paper
        self.slot_names = ("momentum", "velocity")
        self._sums = [
            tf.Variable(0.0, trainable=False, name=n)
            for n in (("weight_sum", "top_rate") if paper else ())
        ]

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """Z begins at the weights (and is set to them by the first update)."""
        return super().initial_slots(variable, name) | {"momentum": variable.read_value()}

    def extra_variables(self) -> list[tf.Variable]:
        """The sum of the averages' weights and the largest rate, in the paper's form."""
        return list(self._sums)

    def begin(self, step: tf.Tensor) -> None:
        """Add this step's weight to their sum."""
        if self.paper:
            total, top = map(local, self._sums)
            top.assign(tf.maximum(top, self.learning_rate * self._warmup(step)))
            total.assign_add(tf.square(top))

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The share of this step in the average, the warm-up, the correction of v."""
        share = 1.0 / step
        if self.paper:
            total, top = (tf.convert_to_tensor(local(v)) for v in self._sums)
            share = tf.cast(tf.math.divide_no_nan(tf.square(top), total), step.dtype)
        return {
            "share": share,
            "first": step < 1.5,
            "warmup": self._warmup(step),
            "root": tf.sqrt(1.0 - tf.pow(tf.cast(self.beta_2, step.dtype), step)),
        }

    def update(self, item: Item, scalars: Mapping[str, Any]) -> None:
        """Move one variable; the paper's decay is part of z's step, Keras's spares z."""
        if item.decay is not None:
            if self.paper:
                scalars, item.decay = {**scalars, "decay": item.weight_decay}, None
            else:
                scalars = {**scalars, "undecayed": item.now()}
        super().update(item, scalars)

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new y, z and v."""
        y, z, v = schedule_free_step(
            weight,
            gradient,
            # The weights may have been loaded after the slots.
            tf.where(scalars["first"], scalars.get("undecayed", weight), slots["momentum"]),
            slots["velocity"],
            learning_rate=learning_rate * scalars["warmup"],
            share=scalars["share"],
            root=scalars["root"],
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=scalars.get("decay"),
        )
        return y, {"momentum": z, "velocity": v}

    def evaluation_values(self) -> list[Any]:
        """x, the average of the z; with `use_ema` the moving average of the weights."""
        if self.use_ema:
            return super().evaluation_values()
        started = tf.not_equal(local(self.iterations), 0)
        found = []
        for variable, slot in zip(self.weights, self._slots["momentum"], strict=True):
            weight = tf.convert_to_tensor(local(variable))
            z = tf.cast(local(slot), weight.dtype)
            found.append(tf.where(started, averaged_weight(weight, z, self.beta_1), weight))
        return found

    def _warmup(self, step: tf.Tensor) -> tf.Tensor:
        return tf.minimum(step / max(self.warmup_steps, 1), 1.0)
