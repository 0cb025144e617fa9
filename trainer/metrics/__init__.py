"""Metrics as sums: `Metric`, and the catalogue."""

from trainer.metrics.base import (
    MeanMetric,
    Metric,
)
from trainer.metrics.basic import (
    Mean,
    Sum,
)
from trainer.metrics.calibration import (
    ExpectedCalibrationError,
)
from trainer.metrics.classification import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from trainer.metrics.confusion import (
    CohenKappa,
    ConfusionMatrix,
    MatthewsCorrelation,
)
from trainer.metrics.curves import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    exact_auc,
)
from trainer.metrics.fbeta import (
    F1Score,
    FBetaScore,
)
from trainer.metrics.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Perplexity,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from trainer.metrics.moments import (
    ConcordanceCorrelation,
    PearsonCorrelation,
    R2Score,
)
from trainer.metrics.names import (
    get,
)
from trainer.metrics.pr_curve import PRCurve
from trainer.metrics.regression import (
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
)
from trainer.metrics.segmentation import (
    BinaryIoU,
    Dice,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
from trainer.metrics.thresholds import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from trainer.metrics.windows import (
    Window,
)

__all__ = [
    "get",
    "Metric",
    "MeanMetric",
    "Mean",
    "Sum",
    "ExpectedCalibrationError",
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "ConfusionMatrix",
    "MatthewsCorrelation",
    "CohenKappa",
    "AUC",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "PrecisionAtRecall",
    "PRCurve",
    "RecallAtPrecision",
    "exact_auc",
    "FBetaScore",
    "F1Score",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "SparseCategoricalCrossentropy",
    "Perplexity",
    "KLDivergence",
    "Poisson",
    "Hinge",
    "SquaredHinge",
    "CategoricalHinge",
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "LogCoshError",
    "CosineSimilarity",
    "R2Score",
    "PearsonCorrelation",
    "ConcordanceCorrelation",
    "MeanSquaredError",
    "RootMeanSquaredError",
    "MeanAbsoluteError",
    "IoU",
    "BinaryIoU",
    "MeanIoU",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Dice",
    "TruePositives",
    "FalsePositives",
    "TrueNegatives",
    "FalseNegatives",
    "Precision",
    "Recall",
    "Window",
]
