"""Averages of the weights for evaluation: EMA (Polyak & Juditsky 1992) and SWA (Izmailov 2018)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from optimizers.checks import check_count, check_range
from optimizers.variables import computing, local, unwrap
from optimizers.wrapper import Wrapper


class Averaged(Wrapper):
    """Base of both: after an update, `average <- (1 - share) average + share w`, when it is due.

    Only real updates count: a skipped one, or a micro-step of an accumulation, moves no average.
    Until the first average the weights are evaluated as they are.

    Args:
        optimizer: Whose weights are averaged.
        start: The number of updates after which averaging begins.
        every: Updates between two averages.
        name: See `Wrapper`.
    """

    slot_names = ("average",)
    around_two_gradients = True

    def __init__(self, optimizer: Any, *, start: int = 0, every: int = 1, name: str | None = None):
        super().__init__(optimizer, name=name)
        self.start = check_count("start", start, 0)
        self.every = check_count("every", every)
        self.count = tf.Variable(0, trainable=False, dtype=tf.int64, name="count")

    def initial_slot(self, slot: str, variable: tf.Variable) -> tf.Tensor:
        """The weights, at least in float32: 16 bits would not move by a thousandth."""
        del slot
        return tf.cast(variable.read_value(), computing(variable.dtype))

    def share(self, count: tf.Tensor) -> tf.Tensor:
        """The share of the new weights after `count` averages (float32); 1 when it is 0."""
        raise NotImplementedError(f"{type(self).__name__} must define share(count).")

    def extra_variables(self) -> list[tf.Variable]:
        """The number of weights in the average."""
        return [self.count]

    def around(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        """Update, then average if that is due."""
        before = tf.identity(tf.convert_to_tensor(local(self.iterations)))
        self.inner(pairs)
        after = tf.convert_to_tensor(local(self.iterations))
        due = (after > before) & (after > self.start)
        due &= tf.equal((after - self.start - 1) % self.every, 0)

        def move() -> tf.Tensor:
            count = local(self.count)
            share = self.share(tf.cast(count, tf.float32))
            for weight, average in zip(self.weights, self.own("average"), strict=True):
                weight = tf.cast(local(weight), average.dtype)
                part = tf.cast(share, average.dtype)
                average.assign((1.0 - part) * average + part * weight, read_value=False)
            count.assign_add(1, read_value=False)
            return tf.constant(0)

        tf.cond(due, move, lambda: tf.constant(0))

    def evaluation_values(self) -> list[Any]:
        """The averages, once there is one."""
        some = local(self.count) > 0
        within = self.optimizer.evaluation_values()
        return [
            tf.where(some, tf.cast(average, value.dtype), value)
            for average, value in zip(self.own("average"), within, strict=True)
        ]

    def finalize_variable_values(self, variables: Iterable[Any]) -> None:
        """Replace weights by their averages."""
        values = self.evaluation_values()
        for variable in variables:
            local(unwrap(variable)).assign(values[self.position(variable)])


class EMA(Averaged):
    """An exponential moving average of the weights around any optimizer.

    Args:
        optimizer: Whose weights are averaged.
        momentum: In [0, 1): `average <- momentum average + (1 - momentum) w`. The first copies w.
        warmup: Whether the momentum is at most `(1 + n) / (10 + n)` after n averages, so that a
            long memory forgets the first weights.
        start: See `Averaged`.
        every: See `Averaged`.
        name: See `Wrapper`.

    Example:
        >>> import optimizers
        >>> weight = tf.Variable(0.0)
        >>> optimizer = optimizers.EMA(optimizers.SGD(1.0), momentum=0.5)
        >>> for _ in range(3):
        ...     optimizer.apply([tf.constant(-1.0)], [weight])
        >>> with optimizer.evaluating():  # of 1, 2 and 3
        ...     print(float(weight))
        2.25
    """

    def __init__(
        self,
        optimizer: Any,
        momentum: float = 0.999,
        *,
        warmup: bool = False,
        start: int = 0,
        every: int = 1,
        name: str | None = None,
    ):
        super().__init__(optimizer, start=start, every=every, name=name)
        self.momentum = check_range("momentum", momentum, 0.0, 1.0)
        self.warmup = warmup

    def share(self, count: tf.Tensor) -> tf.Tensor:
        """`1 - momentum`; 1 for the first."""
        momentum = tf.constant(self.momentum, tf.float32)
        if self.warmup:
            momentum = tf.minimum(momentum, (1.0 + count) / (10.0 + count))
        return tf.where(count > 0, 1.0 - momentum, 1.0)


class SWA(Averaged):
    """Stochastic weight averaging: the plain mean of the weights after every so many updates.

    Args:
        optimizer: Whose weights are averaged; best with a high constant or cyclical rate.
        start: See `Averaged`; often three quarters of the run.
        every: See `Averaged`; often an epoch, or a cycle.
        name: See `Wrapper`.
    """

    def share(self, count: tf.Tensor) -> tf.Tensor:
        """1 over the number of weights in the average, these included."""
        return 1.0 / (count + 1.0)
