"""Regularisers: penalties on weights, as float32 scalars that are added to the loss."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


class Regularizer:
    """Base: `regularizer(weight)` gives a scalar penalty."""

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """The penalty of weight `x` (any shape), a scalar."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, x)")


@dataclass(frozen=True)
class L1(Regularizer):
    """`l1 * sum(|x|)`."""

    l1: float = 0.01

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """The penalty of weight `x` (any shape), a scalar."""
        return self.l1 * tf.reduce_sum(tf.abs(x))


@dataclass(frozen=True)
class L2(Regularizer):
    """`l2 * sum(x ** 2)`."""

    l2: float = 0.01

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """The penalty of weight `x` (any shape), a scalar."""
        return self.l2 * tf.reduce_sum(tf.square(x))


@dataclass(frozen=True)
class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x ** 2)`."""

    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """The penalty of weight `x` (any shape), a scalar."""
        return L1(self.l1)(x) + L2(self.l2)(x)


def get(identifier: Any) -> Callable[[Any], Any] | None:
    """A regulariser from "l1", "l2", "l1_l2", an instance, class or callable; None stays None.

    The name "l1_l2" means 0.01 for both: Keras's name gives two zeros, a penalty that does nothing.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything else.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        key = identifier.replace("_", "").lower()
        if key not in _NAMES:
            near = difflib.get_close_matches(key, _NAMES, n=2, cutoff=0.4)
            raise ValueError(
                f"unknown regularizer {identifier!r}; did you mean one of {near}? Known: 'l1', "
                "'l2', 'l1_l2', "
                "or pass a callable weight -> scalar"
            )
        return _NAMES[key]
    if isinstance(identifier, type) and issubclass(identifier, Regularizer):
        return identifier()
    if callable(identifier):
        return identifier
    raise TypeError(
        f"a regularizer must be a name, a Regularizer or a callable, got {identifier!r}"
    )


_NAMES: dict[str, Regularizer] = {"l1": L1(), "l2": L2(), "l1l2": L1L2(0.01, 0.01)}
