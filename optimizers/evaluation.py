"""Weights to evaluate with: swapped in while a block runs, and back bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from optimizers.shown import shown
from optimizers.variables import local


class Evaluated:
    """What has weights for training and, perhaps, others for evaluation."""

    updates_own_copies = True
    """Inside a replica of `tf.distribute`, `apply` updates that replica's copies (`local`)."""

    __repr__ = shown

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables in training."""
        raise NotImplementedError

    def evaluation_values(self) -> list[Any]:
        """The weights to evaluate with, in the order of `weights`."""
        raise NotImplementedError

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """While the block runs, the variables hold the weights for evaluation (averages).

        Afterwards they hold their old bits again, whatever the block did to them or raised. To be
        used outside of compiled functions; functions that were traced before see the swap too.

        Example:
            >>> import optimizers
            >>> weight = tf.Variable(0.0)
            >>> optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
            >>> for _ in range(2):
            ...     optimizer.apply([tf.constant(-1.0)], [weight])
            >>> with optimizer.evaluating():
            ...     print(float(weight))
            1.5
            >>> float(weight)
            2.0
        """
        if not tf.executing_eagerly():
            raise RuntimeError(
                "evaluating() swaps weights and so belongs outside of tf.function; inside, read "
                "evaluation_values()."
            )
        weights = [local(v) for v in self.weights]
        before = [w.read_value() for w in weights]
        values = [tf.convert_to_tensor(v) for v in self.evaluation_values()]
        try:
            for weight, value in zip(weights, values, strict=True):
                weight.assign(value)
            yield
        finally:
            for weight, value in zip(weights, before, strict=True):
                weight.assign(value)
