"""What every loss shares: reduction, the alignment of both arguments, the class over a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

EPSILON = 1e-7
"""Keras's fuzz factor: probabilities are clipped to [EPSILON, 1 - EPSILON]."""

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)

TensorLike = Any
"""Anything `tf.convert_to_tensor` takes: a tensor, a variable, an array, a list of numbers."""


class Loss:
    """A loss with its reduction. Subclasses override `call`, which never reduces over the batch.

    Attributes:
        class_numbers: Whether targets are class numbers in [0, k), which a trainer can then check
            before it begins.
        compares_rows: Whether a value depends on the other rows of the batch, so that parts of a
            batch do not add up to the whole.

    Args:
        name: Name in logs. Defaults to the class name in snake case.
        reduction: "sum_over_batch_size" or "mean" (sum of weighted values / number of values),
            "sum", "mean_with_sample_weight" (/ sum of the weights), "none" or None (no reduction).

    Raises:
        ValueError: `reduction` is none of these.
    """

    class_numbers = False
    compares_rows = False

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size"):
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction={reduction!r} is unknown; choose one of {REDUCTIONS}.")
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """One value per element, `[b, ..., k] -> [b, ...]`, in float32."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred).")

    def mask(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor | None:
        """Which values of `call` count, as booleans of its shape; None where all do."""
        del y_true, y_pred
        return None

    def __call__(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> tf.Tensor:
        """The reduced loss.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: Weights of the values of `call`: of their shape, of a shape that
                broadcasts to it, or of its leading axes only (`[b]` weighs whole examples).

        Returns:
            A float32 scalar; with no reduction the weighted values. Masked values (`mask`, or a
            mask that Keras attached to `y_pred`) weigh nothing and do not count in a mean. An empty
            batch gives 0, where Keras returns the empty vector. Unlike Keras, the value is not
            divided by the number of replicas: whoever sums over them knows what to divide by.
        """
        values = tf.convert_to_tensor(self.call(y_true, y_pred))
        mask = _both(self.mask(y_true, y_pred), getattr(y_pred, "_keras_mask", None), values)
        return reduce_values(values, sample_weight, mask, self.reduction)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, reduction={self.reduction!r})"


class FunctionLoss(Loss):
    """A loss over a function `(y_true, y_pred) -> values` that takes no further arguments.

    Args:
        reduction: See `Loss`.
        name: Name in logs. Defaults to the name of the function.
        function: The function, where the class does not already hold one.
    """

    function: Callable[[TensorLike, TensorLike], tf.Tensor]

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        *,
        function: Callable[[TensorLike, TensorLike], tf.Tensor] | None = None,
    ):
        if function is not None:
            self.function = function
        super().__init__(name=name or getattr(self.function, "__name__", None), reduction=reduction)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """One value per element: the function's."""
        return self.function(y_true, y_pred)


def reduce_values(
    values: tf.Tensor,
    sample_weight: TensorLike | None = None,
    mask: tf.Tensor | None = None,
    reduction: str | None = "sum_over_batch_size",
) -> tf.Tensor:
    """Weigh, mask and reduce the values of a loss as Keras does; see `Loss.__call__`.

    With a mask m over n values and a reduction to a mean: sum(w m l) / sum(m).
    """
    values = tf.cast(values, tf.float32)
    weights = None if sample_weight is None else tf.cast(sample_weight, tf.float32)
    if mask is not None:
        kept = tf.cast(mask, tf.float32)
        if reduction in ("mean", "sum_over_batch_size"):
            kept *= tf.math.divide_no_nan(_size(kept), tf.reduce_sum(kept))
        weights = kept if weights is None else _spread(weights, kept) * kept
    if weights is not None:
        weights = _spread(weights, values)
        values = values * weights
    if reduction in (None, "none") or values.shape.rank == 0:
        return values
    total = tf.reduce_sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        return tf.math.divide_no_nan(total, tf.reduce_sum(weights))
    return tf.math.divide_no_nan(total, _size(values))


def align(y_true: TensorLike, y_pred: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
    """Both arguments as float32 tensors of one shape.

    A last axis of size 1 that only one of the two has is added or removed as in Keras: `[b]` beside
    `[b, 1]` becomes `[b, 1]`; above rank 2 it is squeezed. Nothing else is broadcast.

    Raises:
        ValueError: the shapes still differ.
    """
    y_true = tf.cast(as_tensor(y_true), tf.float32)
    y_pred = tf.cast(as_tensor(y_pred), tf.float32)
    given = (y_true.shape, y_pred.shape)
    y_true, y_pred = match_rank(y_true, y_pred)
    check_same_shape(y_true, y_pred, given)
    return y_true, y_pred


def match_rank(a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Add or remove one last axis of size 1, where the ranks differ by exactly that."""
    if a.shape.rank is None or b.shape.rank is None or abs(a.shape.rank - b.shape.rank) != 1:
        return a, b
    if a.shape.rank < b.shape.rank:
        b, a = match_rank(b, a)
        return a, b
    if a.shape[-1] != 1:
        return a, b
    if b.shape.rank == 1:
        return a, b[:, tf.newaxis]
    return tf.squeeze(a, -1), b


def check_same_shape(
    y_true: tf.Tensor, y_pred: tf.Tensor, given: tuple[tf.TensorShape, tf.TensorShape]
) -> None:
    """Refuse what would broadcast; axes of unknown size pass."""
    if not y_true.shape.is_compatible_with(y_pred.shape):
        raise ValueError(
            f"y_true has shape {given[0]} and y_pred has shape {given[1]}; they must be "
            "equal, apart from one last axis of size 1. Reshape one of them: nothing is broadcast, "
            "since [b] against [b, k] would silently give a loss of every pair."
        )
    if y_pred.shape.rank == 0:
        raise ValueError(
            "y_true and y_pred are scalars, but a loss needs a batch axis: pass [b] or [b, k]."
        )


def as_tensor(value: TensorLike) -> tf.Tensor:
    """`tf.convert_to_tensor`, with float64 arrays and Python numbers kept as they are."""
    return tf.convert_to_tensor(value)


def snake_case(name: str) -> str:
    """CamelCase to snake_case: "KLDivergence" to "kl_divergence"."""
    out = ""
    for i, char in enumerate(name):
        before_lower = i + 1 < len(name) and name[i + 1].islower()
        if char.isupper() and i and (name[i - 1].islower() or before_lower):
            out += "_"
        out += char.lower()
    return out


def _size(values: tf.Tensor) -> tf.Tensor:
    if values.shape.is_fully_defined():
        return tf.constant(float(np.prod(values.shape.as_list())), tf.float32)
    return tf.cast(tf.size(values), tf.float32)


def _both(a: tf.Tensor | None, b: tf.Tensor | None, values: tf.Tensor) -> tf.Tensor | None:
    masks = [_spread(tf.cast(m, tf.float32), values) for m in (a, b) if m is not None]
    if not masks:
        return None
    return masks[0] if len(masks) == 1 else masks[0] * masks[1]


def _spread(weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Weights in the shape of the values: missing last axes are added, sizes of 1 broadcast."""
    given = weights.shape
    rank, wanted = weights.shape.rank, values.shape.rank
    if rank is not None and wanted is not None and rank > 0:
        if rank == wanted + 1 and given[-1] == 1:
            weights = tf.squeeze(weights, -1)
        for _ in range(wanted - rank):
            weights = weights[..., tf.newaxis]
        pairs = zip(weights.shape, values.shape, strict=False)
        if weights.shape.rank != wanted or any(
            w not in (1, None) and v is not None and w != v for w, v in pairs
        ):
            raise ValueError(
                f"sample_weight has shape {given}, but the loss has values of shape "
                f"{values.shape}: give one weight per value, or one per example (shape [b])."
            )
    if values.shape.is_fully_defined():
        return tf.broadcast_to(weights, values.shape)
    return tf.broadcast_to(weights, tf.shape(values))
