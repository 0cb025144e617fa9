"""Histograms: how the numbers of each variable, its gradient and its update are distributed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from trainer.instruments.base import Instrument, Seen


@dataclasses.dataclass(frozen=True)
class Histograms(Instrument):
    """Counts in `bins` bins of equal width between the least and the largest finite number.

    Names are `weights/...` (before the update), `gradients/...` and `updates/...`, with the
    variable's; `edges` makes what was read of one into edges and counts. Counts are exact up to
    2**24 in a bin, and rounded to 24 bits beyond.

    Attributes:
        bins: how many.
    """

    bins: int = 30

    def __post_init__(self) -> None:
        if isinstance(self.bins, bool) or not self.bins >= 1:
            raise ValueError(f"Histograms(bins={self.bins!r}): a whole number from 1 on.")

    def __call__(self, seen: Seen) -> Mapping[str, tf.Tensor]:
        """What is read of one update."""
        found: dict[str, tf.Tensor] = {}
        for name, gradient, before, after in zip(*seen, strict=True):
            found[f"weights/{name}"] = counted(before, self.bins)
            if gradient is not None:
                found[f"gradients/{name}"] = counted(gradient, self.bins)
            found[f"updates/{name}"] = counted(after - before, self.bins)
        return found


def counted(values: tf.Tensor, bins: int) -> tf.Tensor:
    """`[3 + bins]`: least and largest finite number, how many are not finite, counts.

    Bins are closed below and open above, but for the last; where all numbers are equal, they are
    counted in the first.
    """
    x = tf.reshape(tf.cast(values, tf.float32), [-1])
    finite = tf.math.is_finite(x)
    some = tf.reduce_any(finite)
    low = tf.where(some, tf.reduce_min(tf.where(finite, x, x.dtype.max)), 0.0)
    high = tf.where(some, tf.reduce_max(tf.where(finite, x, x.dtype.min)), 0.0)
    # Halves, as the difference of two finite numbers may be none.
    width = tf.maximum(0.5 * high - 0.5 * low, np.finfo(np.float32).tiny)
    place = bins * ((0.5 * tf.where(finite, x, low) - 0.5 * low) / width)
    place = tf.clip_by_value(tf.cast(place, tf.int32), 0, bins - 1)
    place = tf.where(finite, place, bins)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(place), place, bins + 1)
    bad = counts[bins:]
    head = tf.concat([[low, high], tf.cast(bad, tf.float32)], 0)
    return tf.concat([head, tf.cast(counts[:bins], tf.float32)], 0)


def edges(read: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Edges float64 `[bins + 1]`, counts float64 `[bins]`, and how many were not finite.

    Args:
        read: one entry `[3 + bins]` of a reading of `Histograms`.
    """
    low, high, bad = (float(x) for x in read[:3])
    counts = np.asarray(read[3:], np.float64)
    return np.linspace(low, high, len(counts) + 1), counts, int(bad)
