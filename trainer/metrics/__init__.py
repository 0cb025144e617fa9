"""Metrics as sums: `Metric`, and the catalogue."""

from trainer.metrics.base import MeanMetric, Metric
from trainer.metrics.basic import Mean, Sum
from trainer.metrics.classification import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from trainer.metrics.names import get
from trainer.metrics.regression import MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError
from trainer.metrics.windows import Window

__all__ = [
    "get",
    "Metric",
    "MeanMetric",
    "Mean",
    "Sum",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "MeanSquaredError",
    "RootMeanSquaredError",
    "MeanAbsoluteError",
    "Window",
]
