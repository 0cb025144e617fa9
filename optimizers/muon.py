"""Muon (Jordan et al. 2024): momentum made orthogonal, for matrices; AdamW for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from optimizers.adam import adam_step, powers, shared_rate
from optimizers.base import Optimizer
from optimizers.checks import check_count, check_decay, check_epsilon, check_mean, check_range
from optimizers.rates import held, put
from optimizers.variables import Roster, found_in


def newton_schulz(
    x: tf.Tensor,
    steps: int = 5,
    coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
) -> tf.Tensor:
    """Pushes the singular values of matrices `[..., m, n]` towards 1; the directions stay.

    `X <- a X + (b A + c A A) X` with `A = X X^T`, from `X / |X|`: a polynomial of odd degree in
    each singular value, which with the default coefficients brings all but the smallest into
    about [0.7, 1.2] in five steps (Jordan et al. 2024).
    """
    a, b, c = coefficients
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = tf.linalg.matrix_transpose(x)
    x /= tf.norm(x, axis=(-2, -1), keepdims=True) + 1e-7
    for _ in range(steps):
        square = tf.matmul(x, x, transpose_b=True)
        x = a * x + (b * square + c * square @ square) @ x
    return tf.linalg.matrix_transpose(x) if tall else x


def muon_step(
    gradient: tf.Tensor,
    m: tf.Tensor,
    *,
    momentum: float,
    nesterov: bool,
    steps: int = 5,
    coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of Muon: (the direction O, new m); `w <- w - lr s O`. Jordan et al. 2024.

    `m <- mu m + g`; O is the orthogonal factor of m, with Nesterov of `g + mu m`, by
    `newton_schulz`.
    """
    m = m + (gradient + m * (momentum - 1.0))
    inside = gradient + momentum * m if nesterov else m
    return newton_schulz(inside, steps, coefficients), m


def muon_scale(
    rows: int, columns: int, *, rms_rate: float | None = 0.2, paper: bool = False
) -> float:
    """The factor s of a step `[rows, columns]`: `rms_rate sqrt(max(rows, columns))`.

    It gives updates the size of Adam's (Liu et al. 2025); 1 where `rms_rate` is None. In the first
    publication it is `sqrt(max(1, columns / rows))` for kernels `[inputs, outputs]`.
    """
    if paper:
        return max(1.0, columns / rows) ** 0.5
    return 1.0 if rms_rate is None else max(rows, columns) ** 0.5 * rms_rate


class Muon(Optimizer):
    """Momentum made orthogonal, see `muon_step`; steps are scaled by `muon_scale`.

    That gives them the size of Adam's, so that both use one learning rate and decay: variables that
    are no matrices, and embeddings, are updated by AdamW.

    Args:
        learning_rate: A number or a schedule.
        adam_beta_1: AdamW's, in [0, 1).
        adam_beta_2: AdamW's, in [0, 1).
        adam_weight_decay: AdamW's.
        epsilon: AdamW's.
        weight_decay: Of the matrices.
        exclude_layers: Regular expressions; variables in whose names one is found go to AdamW. One
            that is found in no name is an error at `build`.
        exclude_embeddings: Whether variables with "embedding" in their name go to AdamW.
        muon_a: Coefficient of `newton_schulz`.
        muon_b: Coefficient of `newton_schulz`.
        muon_c: Coefficient of `newton_schulz`.
        adam_lr_ratio: By what AdamW's learning rate is multiplied.
        momentum: mu, in [0, 1].
        ns_steps: Steps of `newton_schulz`.
        nesterov: Whether to look ahead.
        rms_rate: See `muon_scale`.
        paper: Whether steps are scaled as first published (with a learning rate of 0.02).
        clipnorm: See `Optimizer`, as for the rest.
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
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | Callable | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | Callable | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        paper: bool = False,
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
        self.adam_beta_1 = check_mean("adam_beta_1", adam_beta_1)
        self.adam_beta_2 = check_mean("adam_beta_2", adam_beta_2)
        self._adam_weight_decay = held("adam_weight_decay", check_decay(adam_weight_decay))
        self.epsilon = check_epsilon(epsilon)
        self.exclude_layers = tuple(exclude_layers or ())
        self.exclude_embeddings = exclude_embeddings
        self.coefficients = (muon_a, muon_b, muon_c)
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = check_range("momentum", momentum, 0.0, 1.0)
        self.ns_steps = check_count("ns_steps", ns_steps)
        self.nesterov = nesterov
        self.rms_rate = rms_rate
        self.paper = paper
        self.slot_names = ("momentum", "velocity")

    @property
    def adam_weight_decay(self) -> tf.Tensor | None:
        """AdamW's decay at the next update; set as `weight_decay` is."""
        return None if self._adam_weight_decay is None else self._now(self._adam_weight_decay)

    @adam_weight_decay.setter
    def adam_weight_decay(self, value: float) -> None:
        """Set AdamW's decay, with no retracing of compiled functions."""
        put("adam_weight_decay", self._adam_weight_decay, value)

    def rate_variables(self) -> list[tf.Variable]:
        """AdamW's decay too."""
        decay = self._adam_weight_decay
        return super().rate_variables() + ([decay] if isinstance(decay, tf.Variable) else [])

    def settle(self, roster: Roster, first: int = 0) -> None:
        """A layer to exclude must be there (when the optimizer is built)."""
        for pattern in self.exclude_layers:
            if first == 0:
                found_in(pattern, roster.names, "exclude_layers")
        super().settle(roster, first)

    def initial_slots(self, variable: tf.Variable, name: str) -> dict[str, tf.Tensor]:
        """A momentum, and AdamW's velocity where AdamW works."""
        slots = super().initial_slots(variable, name)
        if not self.is_adams(variable, name):
            del slots["velocity"]
        return slots

    def is_adams(self, variable: tf.Variable, name: str) -> bool:
        """Whether AdamW updates a variable of that name."""
        return (
            variable.shape.rank != 2
            or (self.exclude_embeddings and "embedding" in name.lower())
            or any(re.search(pattern, name) for pattern in self.exclude_layers)
        )

    def decay_of(self, index: int) -> Any:
        """AdamW's decay or Muon's."""
        adams = self._slots["velocity"][index] is not None if "velocity" in self._slots else False
        return self._adam_weight_decay if adams else self._weight_decay

    def scalars(self, step: tf.Tensor) -> Mapping[str, Any]:
        """The powers of AdamW's betas."""
        return powers(self.adam_beta_1, self.adam_beta_2, step)

    def rule(
        self,
        weight: tf.Tensor,
        gradient: tf.Tensor,
        slots: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        scalars: Mapping[str, Any],
    ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """The new weights and momentum."""
        m = slots["momentum"]
        if "velocity" in slots:
            change, m, v, _ = adam_step(
                gradient,
                m,
                slots["velocity"],
                rate=shared_rate(learning_rate, scalars) * self.adam_lr_ratio,
                beta_1=self.adam_beta_1,
                beta_2=self.adam_beta_2,
                epsilon=self.epsilon,
            )
            return weight - change, {"momentum": m, "velocity": v}
        direction, m = muon_step(
            gradient,
            m,
            momentum=self.momentum,
            nesterov=self.nesterov,
            steps=self.ns_steps,
            coefficients=self.coefficients,
        )
        scale = muon_scale(*weight.shape, rms_rate=self.rms_rate, paper=self.paper)
        return weight - learning_rate * direction * scale, {"momentum": m}
