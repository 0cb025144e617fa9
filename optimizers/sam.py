"""SAM (Foret et al. 2021) and ASAM (Kwon et al. 2021): gradients from the worst point near by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from optimizers.checks import check_least
from optimizers.clipping import square_sum
from optimizers.slots import dense
from optimizers.variables import local, matched, running_replica
from optimizers.wrapper import Wrapper


class SAM(Wrapper):
    """Takes the gradient at `w + rho g / |g|`, and applies it at w.

    An update needs two gradients. `ctx.minimize` of the trainer takes both; a loop of one's own
    calls `perturb` with the first and `apply` with the second.

    Args:
        optimizer: Makes the update.
        rho: How far away the gradient is taken, at least 0.
        adaptive: Whether distances are measured in the scale of each weight (ASAM): the step is
            `rho w^2 g / |w g|`; rho is then about ten times larger.
        name: See `Wrapper`.

    Example:
        >>> import optimizers
        >>> w = tf.Variable(1.0)
        >>> optimizer = optimizers.SAM(optimizers.SGD(0.25), rho=0.5)
        >>> for take in (optimizer.perturb, optimizer.apply):
        ...     with tf.GradientTape() as tape:
        ...         loss = w**2
        ...     take([tape.gradient(loss, w)], [w])
        >>> float(w)  # the gradient was 2 * 1.5
        0.25
    """

    slot_names = ("centre",)

    def __init__(
        self, optimizer: Any, rho: float = 0.05, *, adaptive: bool = False, name: str | None = None
    ):
        super().__init__(optimizer, name=name)
        self.rho = check_least("rho", rho, 0.0)
        self.adaptive = adaptive
        # The replicas whose weights, at this point of the trace, are perturbed: they run in turns.
        self._away: set[int | None] = set()

    @property
    def perturb(self) -> Callable[[Sequence[Any], Sequence[Any]], None]:
        """`perturb(grads, variables)`: go to where the second gradient is to be taken."""
        return self._perturb

    def _perturb(self, grads: Sequence[Any], variables: Sequence[Any]) -> None:
        variables = list(variables)
        pairs = matched(grads, variables)
        if not self.built or not self._slots:
            with tf.init_scope():
                self.build(variables)
        weights = [local(v) for _, v in pairs]
        grads = [
            tf.cast(dense(g, w) if isinstance(g, tf.IndexedSlices) else g, w.dtype)
            for (g, _), w in zip(pairs, weights, strict=True)
        ]
        if self.adaptive:
            grads = [tf.abs(w) * g for g, w in zip(grads, weights, strict=True)]
        norm = tf.sqrt(tf.add_n([tf.cast(square_sum(g), tf.float32) for g in grads]))
        scale = tf.math.divide_no_nan(tf.constant(self.rho, tf.float32), norm)
        centres = self.own("centre")
        for (_, v), g, weight in zip(pairs, grads, weights, strict=True):
            before = tf.convert_to_tensor(weight)
            centres[self.position(v)].assign(before, read_value=False)
            step = tf.cast(scale, g.dtype) * (tf.abs(before) * g if self.adaptive else g)
            weight.assign(before + step, read_value=False)
        self._away.add(running_replica())

    def around(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        """Go back, bit for bit, and update there."""
        replica = running_replica()
        if replica not in self._away:
            raise ValueError(
                f"{self.name} needs two gradients for an update: call perturb(grads, variables) "
                "with the first and apply with the second, or let ctx.minimize do both."
            )
        self._away.remove(replica)
        centres = self.own("centre")
        for _, variable in pairs:
            centre = centres[self.position(variable)]
            local(variable).assign(tf.convert_to_tensor(centre), read_value=False)
        self.inner(pairs)
