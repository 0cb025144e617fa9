"""Losses of overlap between predicted and true boxes: IoU and GIoU."""

from __future__ import annotations

import tensorflow as tf

from losses.base import Loss, TensorLike, align

MODES = ("giou", "iou")


def giou(y_true: TensorLike, y_pred: TensorLike, mode: str = "giou") -> tf.Tensor:
    """One minus the (generalised) intersection over union of boxes: [b, ..., 4] -> [b, ...].

    Rezatofighi et al. 2019: `GIoU = IoU - (hull - union) / hull`, hull being the smallest box
    around both, so that boxes which do not touch still have a gradient. From 0 (equal) to 2.

    Args:
        y_true: Boxes as (y_min, x_min, y_max, x_max) or (x_min, y_min, x_max, y_max), in any unit.
        y_pred: Boxes in the same order. One whose maximum is below its minimum has no area.
        mode: "giou" or "iou".

    Raises:
        ValueError: the last axis is not 4, the shapes differ, or `mode` is unknown.
    """
    check_mode(mode)
    y_true, y_pred = align(y_true, y_pred)
    if y_pred.shape[-1] != 4:
        raise ValueError(
            f"y_pred has shape {y_pred.shape}; boxes are [..., 4]: (y_min, x_min, y_max, x_max)."
        )
    both = _area(
        tf.maximum(y_true[..., :2], y_pred[..., :2]), tf.minimum(y_true[..., 2:], y_pred[..., 2:])
    )
    union = _area(y_true[..., :2], y_true[..., 2:]) + _area(y_pred[..., :2], y_pred[..., 2:]) - both
    iou = tf.math.divide_no_nan(both, union)
    if mode == "iou":
        return 1.0 - iou
    hull = _area(
        tf.minimum(y_true[..., :2], y_pred[..., :2]), tf.maximum(y_true[..., 2:], y_pred[..., 2:])
    )
    return 1.0 - iou + tf.math.divide_no_nan(hull - union, hull)


class GIoU(Loss):
    """See `giou`.

    Args:
        mode: "giou" or "iou".
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        mode: str = "giou",
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "giou",
    ):
        super().__init__(name=name, reduction=reduction)
        self.mode = check_mode(mode)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ..., 4] -> [b, ...]."""
        return giou(y_true, y_pred, self.mode)


def check_mode(mode: str) -> str:
    """The argument, when it is known."""
    if mode not in MODES:
        raise ValueError(f"mode={mode!r} is unknown; choose one of {MODES}.")
    return mode


def _area(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    sides = tf.maximum(high - low, 0.0)
    return sides[..., 0] * sides[..., 1]
