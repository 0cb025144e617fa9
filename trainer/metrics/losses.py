"""Metrics that are means of losses: cross-entropies, divergences, hinges, relative errors.

The formulas are those of the `losses` package, which is looked for when such a metric is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trainer import names
from trainer.metrics.base import Metric
from trainer.sums import Sums, spread


class LossMetric(Metric):
    """The mean of a loss of the `losses` package; what its mask leaves out does not count.

    Args:
        loss: its name.
        name: the reported name.
        config: its arguments.
    """

    direction: str | None = "min"

    def __init__(self, loss: str, name: str, **config: Any) -> None:
        super().__init__(name)
        self.loss = names.loss({"class_name": loss, "config": config})
        self.probabilities = "crossentropy" in loss and not config.get("from_logits")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Sums:
        """Sums of the loss's values."""
        y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        values = self.loss.call(y_true, y_pred)
        mask = self.loss.mask(y_true, y_pred)
        if mask is None:
            return Sums.of(values, sample_weight)
        weights = tf.cast(mask, tf.float32)
        if sample_weight is not None:
            weights *= spread(tf.cast(sample_weight, tf.float32), values)
        return Sums.of(values, weights)


class BinaryCrossentropy(LossMetric):
    """The mean of `losses.binary_crossentropy`.

    Args:
        name: the reported name.
        from_logits: whether predictions are logits.
        label_smoothing: between 0 and 1.
    """

    def __init__(
        self,
        name: str = "binary_crossentropy",
        *,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            "binary_crossentropy", name, from_logits=from_logits, label_smoothing=label_smoothing
        )


class CategoricalCrossentropy(LossMetric):
    """The mean of `losses.categorical_crossentropy`.

    Args:
        name: the reported name.
        from_logits: whether predictions are logits.
        label_smoothing: between 0 and 1.
        axis: the class axis.
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        *,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            "categorical_crossentropy",
            name,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(LossMetric):
    """The mean of `losses.sparse_categorical_crossentropy`.

    Args:
        name: the reported name.
        from_logits: whether predictions are logits.
        ignore_class: a class number whose elements do not count; Keras counts them as 0.
        axis: the class axis.
    """

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        *,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            "sparse_categorical_crossentropy",
            name,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


class Perplexity(SparseCategoricalCrossentropy):
    """`exp` of the mean cross-entropy over everything summed (Jelinek et al. 1977).

    Args:
        name: the reported name.
        from_logits: whether predictions are logits.
        ignore_class: a class number, such as that of padding, whose elements do not count.
        axis: the class axis.
    """

    def __init__(
        self,
        name: str = "perplexity",
        *,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, from_logits=from_logits, ignore_class=ignore_class, axis=axis)

    def value(self, total: Any, count: Any) -> np.ndarray:
        """`exp` of the mean; infinity beyond what float64 holds."""
        with np.errstate(over="ignore"):
            return np.exp(super().value(total, count))


class KLDivergence(LossMetric):
    """The mean of `losses.kl_divergence`."""

    def __init__(self, name: str = "kl_divergence") -> None:
        super().__init__("kl_divergence", name)


class Poisson(LossMetric):
    """The mean of `losses.poisson`."""

    def __init__(self, name: str = "poisson") -> None:
        super().__init__("poisson", name)


class Hinge(LossMetric):
    """The mean of `losses.hinge`."""

    def __init__(self, name: str = "hinge") -> None:
        super().__init__("hinge", name)


class SquaredHinge(LossMetric):
    """The mean of `losses.squared_hinge`."""

    def __init__(self, name: str = "squared_hinge") -> None:
        super().__init__("squared_hinge", name)


class CategoricalHinge(LossMetric):
    """The mean of `losses.categorical_hinge`."""

    def __init__(self, name: str = "categorical_hinge") -> None:
        super().__init__("categorical_hinge", name)


class MeanAbsolutePercentageError(LossMetric):
    """The mean of `losses.mean_absolute_percentage_error`."""

    def __init__(self, name: str = "mean_absolute_percentage_error") -> None:
        super().__init__("mean_absolute_percentage_error", name)


class MeanSquaredLogarithmicError(LossMetric):
    """The mean of `losses.mean_squared_logarithmic_error`."""

    def __init__(self, name: str = "mean_squared_logarithmic_error") -> None:
        super().__init__("mean_squared_logarithmic_error", name)


class LogCoshError(LossMetric):
    """The mean of `losses.log_cosh`."""

    def __init__(self, name: str = "logcosh") -> None:
        super().__init__("log_cosh", name)


class CosineSimilarity(LossMetric):
    """The mean cosine of the angle between targets and predictions: 1 is best.

    Args:
        name: the reported name.
        axis: the axis of the vectors.
    """

    direction = "max"

    def __init__(self, name: str = "cosine_similarity", *, axis: int = -1) -> None:
        super().__init__("cosine_similarity", name, axis=axis)

    def value(self, total: Any, count: Any) -> np.ndarray:
        """The mean; the loss is its negative."""
        return -super().value(total, count)
