"""Transforms of gradients around any optimizer: clipping, adaptive clipping, centralisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from optimizers import clipping
from optimizers.checks import check_epsilon, check_steps
from optimizers.slots import dense
from optimizers.variables import local
from optimizers.wrapper import Wrapper


class Transform(Wrapper):
    """Gradients go through the transforms, in their order, before the optimizer within.

    Args:
        optimizer: Makes the updates; around `Groups`, a global norm is over all groups.
        transforms: Callables `(gradients, weights) -> gradients` of lists of dense tensors.
        name: See `Wrapper`.

    Example:
        >>> import optimizers
        >>> weight = tf.Variable([[1.0], [1.0]])
        >>> optimizer = optimizers.Transform(optimizers.SGD(1.0), optimizers.Centralize())
        >>> optimizer.apply([tf.constant([[1.0], [3.0]])], [weight])
        >>> weight.numpy().ravel().tolist()
        [2.0, 0.0]
    """

    def __init__(self, optimizer: Any, *transforms: Callable, name: str | None = None):
        super().__init__(optimizer, name=name)
        for transform in transforms:
            if not callable(transform):
                raise TypeError(
                    f"transforms holds {transform!r}: each must be a callable of (gradients, "
                    "weights), such as optimizers.Centralize()."
                )
        if not transforms:
            raise ValueError("transforms is empty: give at least one, or no Transform.")
        self.transforms = transforms

    def around(self, pairs: list[tuple[Any, tf.Variable]]) -> None:
        """Transform, then update."""
        weights = [local(v) for _, v in pairs]
        gradients = [
            dense(g, w) if isinstance(g, tf.IndexedSlices) else g
            for (g, _), w in zip(pairs, weights, strict=True)
        ]
        tensors = [tf.convert_to_tensor(w) for w in weights]
        for transform in self.transforms:
            gradients = transform(gradients, tensors)
        self.inner([(g, v) for g, (_, v) in zip(gradients, pairs, strict=True)])


class ClipValue:
    """Every element limited to [-clipvalue, clipvalue]."""

    def __init__(self, clipvalue: float):
        self.clipvalue = check_steps("clipvalue", clipvalue)

    def __call__(self, gradients: list[Any], weights: Sequence[Any]) -> list[Any]:
        """The clipped gradients."""
        return clipping.clip_by_value(gradients, self.clipvalue)


class ClipNorm:
    """Every gradient scaled down to a norm of at most `clipnorm`."""

    def __init__(self, clipnorm: float):
        self.clipnorm = check_steps("clipnorm", clipnorm)

    def __call__(self, gradients: list[Any], weights: Sequence[Any]) -> list[Any]:
        """The clipped gradients."""
        return clipping.clip_by_norm(gradients, self.clipnorm)


class ClipGlobalNorm:
    """All gradients scaled down together to a norm of at most `global_clipnorm`."""

    def __init__(self, global_clipnorm: float):
        self.global_clipnorm = check_steps("global_clipnorm", global_clipnorm)

    def __call__(self, gradients: list[Any], weights: Sequence[Any]) -> list[Any]:
        """The clipped gradients."""
        return clipping.clip_by_global_norm(gradients, self.global_clipnorm)


class AdaptiveClip:
    """Adaptive gradient clipping (AGC, Brock et al. 2021, equation 3).

    The gradient of each output unit is scaled to at most `clipping` times the norm of the unit's
    weights. Units are the last axis of kernels; vectors and scalars count as one unit.

    Args:
        clipping: The largest ratio of the norms, positive.
        epsilon: Least norm of the weights that counts.
    """

    def __init__(self, clipping: float = 0.01, epsilon: float = 1e-3):
        self.clipping = check_steps("clipping", clipping)
        self.epsilon = check_epsilon(epsilon)

    def __call__(self, gradients: list[Any], weights: Sequence[Any]) -> list[Any]:
        """The clipped gradients."""
        return [self._one(g, w) for g, w in zip(gradients, weights, strict=True)]

    def _one(self, gradient: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        most = self.clipping * tf.maximum(_unit_norm(weight), self.epsilon)
        norm = _unit_norm(gradient)
        scale = most / tf.maximum(norm, tf.cast(1e-6, norm.dtype))
        return tf.where(norm > most, gradient * scale, gradient)


class Centralize:
    """Gradient centralisation (Yong et al. 2020): kernels' gradients have mean 0 in each unit.

    The mean is over all axes but the last, of gradients with two axes or more.
    """

    def __call__(self, gradients: list[Any], weights: Sequence[Any]) -> list[Any]:
        """The centred gradients."""
        return [
            g - tf.reduce_mean(g, axis=list(range(g.shape.rank - 1)), keepdims=True)
            if g.shape.rank > 1
            else g
            for g in gradients
        ]


def _unit_norm(x: tf.Tensor) -> tf.Tensor:
    """Norms of the units, of a shape that spreads over x."""
    axes = list(range(x.shape.rank - 1)) if x.shape.rank > 1 else None
    return tf.sqrt(tf.reduce_sum(tf.square(x), axis=axes, keepdims=True))
