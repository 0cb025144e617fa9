"""Every metric against Keras or a formula, and the identities of sums.

One batch = any split = permuted = padded = two replicas = accumulated parts. The metrics are found
by walking the package: one without an entry here fails.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import metrics

N, K = 24, 4
RNG = np.random.default_rng(5)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


WEIGHT = RNG.uniform(0.2, 2.0, N).astype("f")
LABELS = RNG.integers(0, K, N)
ONE_HOT = np.eye(K, dtype="f")[LABELS]
SCORES = softmax(RNG.normal(size=(N, K)) + 1.5 * ONE_HOT).astype("f")
BITS = RNG.integers(0, 2, N).astype("f")
CHANCES = np.clip(RNG.beta(2, 2, N) * 0.7 + 0.3 * BITS, 0, 1).astype("f")
TABLE_BITS = RNG.integers(0, 2, (N, K)).astype("f")
TABLE = RNG.uniform(size=(N, K)).astype("f")
REAL = RNG.normal(size=(2, N, K)).astype("f")
POSITIVE = RNG.uniform(0.5, 3.0, (2, N, K)).astype("f")
GUESSES = np.where(RNG.uniform(size=N) < 0.6, LABELS, RNG.integers(0, K, N))

BINARY, TABLES = (BITS, CHANCES), (TABLE_BITS, TABLE)
CATEGORICAL, SPARSE, CLASSES = (ONE_HOT, SCORES), (LABELS, SCORES), (LABELS, GUESSES)


def prediction(y_true, y_pred):
    return y_pred


def matrix(y, p, w):
    out = np.zeros((K, K))
    for i, j, weight in zip(y, p, w, strict=True):
        out[i, j] += weight
    return out


def dice(y, p, w):
    each = []
    for k in range(K):
        both = w @ ((y == k) & (p == k))
        each.append(2 * both / (w @ (y == k) + w @ (p == k)))
    return np.mean(each)


def matthews(y, p, w):
    """The correlation of both sides' indicators, summed over classes (Gorodkin 2004)."""
    a, b = np.eye(K)[y], np.eye(K)[p]
    a, b = a - w @ a / w.sum(), b - w @ b / w.sum()
    covariance = [w @ (x * y).sum(1) for x, y in ((a, b), (a, a), (b, b))]
    return covariance[0] / np.sqrt(covariance[1] * covariance[2])


def kappa(y, p, w, power=0):
    def cost(i, j):
        return float(i != j) if power == 0 else abs(i - j) ** power

    seen = sum(weight * cost(i, j) for i, j, weight in zip(y, p, w, strict=True)) / w.sum()
    chance = sum(
        u * v * cost(i, j) for i, u in zip(y, w, strict=True) for j, v in zip(p, w, strict=True)
    )
    return 1 - seen / (chance / w.sum() ** 2)


def calibration(y, p, w, bins=15):
    confidence, right = p.max(1), p.argmax(1) == y
    error = 0.0
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        error += abs(w[inside] @ right[inside] - w[inside] @ confidence[inside])
    return error / w.sum()


def curve(y, p, w):
    """Counts above eleven thresholds, precision and recall."""
    y, p, w = y.ravel() == 1, p.ravel(), np.repeat(w, y.shape[1])
    rows = []
    for t in np.linspace(0, 1, 11).astype("f"):
        above = p > t if t > 0 else p >= 0  # the lowest takes all, as in AUC
        tp, fp = w[above & y].sum(), w[above & ~y].sum()
        tn, fn = w[~above & ~y].sum(), w[~above & y].sum()
        precision = tp / (tp + fp) if tp + fp else 0.0
        rows.append([tp, fp, tn, fn, precision, tp / (tp + fn)])
    return np.transpose(rows)


def perplexity(y, p, w):
    return np.exp(w @ -np.log(p[np.arange(N), y]) / w.sum())


def pearson(y, p, w):
    w = np.repeat(w, K)
    a, b = y.reshape(-1) - w @ y.reshape(-1) / w.sum(), p.reshape(-1) - w @ p.reshape(-1) / w.sum()
    return w @ (a * b) / np.sqrt((w @ a**2) * (w @ b**2))


def keras_metric(name, **config):
    return lambda: getattr(keras.metrics, name)(**config)


def both(name, data, **config):
    """A metric that is Keras's with the same arguments."""
    return getattr(metrics, name)(**config), keras_metric(name, **config), data


def mine(metric, reference, data):
    return metric, reference, data


M = metrics
# metric's class, and which of its cases -> (ours, Keras's or a function (y, p, w), the data).
CASES = {
    "Mean": mine(M.Mean(prediction), lambda y, p, w: w @ p / w.sum(), BINARY),
    "Sum": mine(M.Sum(prediction), lambda y, p, w: w @ p, BINARY),
    "MeanMetric": mine(M.MeanMetric(prediction), lambda y, p, w: w @ p / w.sum(), BINARY),
    "Accuracy": both("Accuracy", CLASSES),
    "BinaryAccuracy": both("BinaryAccuracy", TABLES, threshold=0.4),
    "CategoricalAccuracy": both("CategoricalAccuracy", CATEGORICAL),
    "SparseCategoricalAccuracy": both("SparseCategoricalAccuracy", SPARSE),
    "TopKCategoricalAccuracy": both("TopKCategoricalAccuracy", CATEGORICAL, k=2),
    "SparseTopKCategoricalAccuracy": both("SparseTopKCategoricalAccuracy", SPARSE, k=2),
    **{
        f"{name}{suffix}": both(name, data, **config)
        for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
        for suffix, data, config in (
            ("", BINARY, {}),
            (" several", TABLES, {"thresholds": [0.9, 0.2, 0.35]}),
            (" even", TABLES, {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}),
        )
    },
    **{
        f"{name}{suffix}": both(name, data, **config)
        for name in ("Precision", "Recall")
        for suffix, data, config in (
            ("", TABLES, {}),
            (" several", BINARY, {"thresholds": [0.2, 0.8]}),
            (" top", CATEGORICAL, {"top_k": 2}),
            (" class", CATEGORICAL, {"class_id": 1, "thresholds": 0.3}),
            (" top class", CATEGORICAL, {"class_id": 1, "top_k": 2}),
        )
    },
    **{
        f"{name}{suffix}": both(name, data, **{argument: 0.6}, **config)
        for name, argument in (
            ("SensitivityAtSpecificity", "specificity"),
            ("SpecificityAtSensitivity", "sensitivity"),
            ("PrecisionAtRecall", "recall"),
            ("RecallAtPrecision", "precision"),
        )
        for suffix, data, config in (
            ("", BINARY, {}),
            (" class", CATEGORICAL, {"class_id": 2, "num_thresholds": 11}),
            (" one", BINARY, {"num_thresholds": 1}),
        )
    },
    **{
        f"AUC {curve} {how}": both("AUC", BINARY, curve=curve, summation_method=how)
        for curve in ("ROC", "PR", "PRGAIN")
        for how in ("interpolation", "majoring", "minoring")
    },
    "AUC coarse": both("AUC", TABLES, num_thresholds=5),
    "AUC own": both("AUC", BINARY, thresholds=[0.7, 0.1, 0.4]),
    "AUC labels": both("AUC", TABLES, multi_label=True, num_thresholds=20),
    "AUC labels PR": both("AUC", TABLES, multi_label=True, curve="PR", num_thresholds=20),
    "AUC labels weighted": both(
        "AUC", TABLES, multi_label=True, label_weights=[1.0, 0.0, 2.0, 0.5], num_thresholds=20
    ),
    "AUC weighted labels": both("AUC", TABLES, label_weights=[1.0, 0.0, 2.0, 0.5]),
    "AUC logits": both("AUC", (BITS, 4 * CHANCES - 2), from_logits=True),
    **{
        f"FBetaScore {average} {threshold}": both(
            "FBetaScore", TABLES, average=average, beta=2.0, threshold=threshold
        )
        for average in (None, "micro", "macro", "weighted")
        for threshold in (None, 0.4)
    },
    "F1Score": both("F1Score", CATEGORICAL, average="macro"),
    "ConfusionMatrix": mine(M.ConfusionMatrix(K, sparse_y_pred=True), matrix, CLASSES),
    "MatthewsCorrelation": mine(M.MatthewsCorrelation(K, sparse_y_pred=True), matthews, CLASSES),
    "CohenKappa": mine(M.CohenKappa(K, sparse_y_pred=True), kappa, CLASSES),
    "CohenKappa linear": mine(
        M.CohenKappa(K, "linear", sparse_y_pred=True),
        functools.partial(kappa, power=1),
        CLASSES,
    ),
    "CohenKappa quadratic": mine(
        M.CohenKappa(K, "quadratic", sparse_y_pred=True),
        functools.partial(kappa, power=2),
        CLASSES,
    ),
    "IoU": mine(
        M.IoU(K, [0, 2]),
        keras_metric("IoU", num_classes=K, target_class_ids=[0, 2], dtype="float32"),
        CLASSES,
    ),
    "MeanIoU": mine(
        M.MeanIoU(K + 1, ignore_class=1),
        keras_metric("MeanIoU", num_classes=K + 1, ignore_class=1, dtype="float32"),
        CLASSES,
    ),
    "BinaryIoU": mine(
        M.BinaryIoU(threshold=0.4),
        keras_metric("BinaryIoU", threshold=0.4, dtype="float32"),
        BINARY,
    ),
    "OneHotIoU": mine(
        M.OneHotIoU(K, [1, 3]),
        keras_metric("OneHotIoU", num_classes=K, target_class_ids=[1, 3], dtype="float32"),
        CATEGORICAL,
    ),
    "OneHotMeanIoU": mine(
        M.OneHotMeanIoU(K),
        keras_metric("OneHotMeanIoU", num_classes=K, dtype="float32"),
        CATEGORICAL,
    ),
    "Dice": mine(M.Dice(K), dice, CLASSES),
    **{
        name: both(name, REAL)
        for name in (
            *("MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "LogCoshError"),
            *("CosineSimilarity", "PearsonCorrelation", "ConcordanceCorrelation"),
        )
    },
    "MeanAbsolutePercentageError": both("MeanAbsolutePercentageError", POSITIVE),
    "MeanSquaredLogarithmicError": both("MeanSquaredLogarithmicError", POSITIVE),
    "Poisson": both("Poisson", POSITIVE),
    **{
        f"R2Score {how} {p}": both("R2Score", REAL, class_aggregation=how, num_regressors=p)
        for how in ("uniform_average", "variance_weighted_average", None)
        for p in (0, 3)
    },
    "PearsonCorrelation all": mine(M.PearsonCorrelation(axis=None), pearson, REAL),
    "KLDivergence": both("KLDivergence", (SCORES, softmax(REAL[0]))),
    "BinaryCrossentropy": both("BinaryCrossentropy", TABLES, label_smoothing=0.1),
    "BinaryCrossentropy logits": both(
        "BinaryCrossentropy", (TABLE_BITS, REAL[0]), from_logits=True
    ),
    "CategoricalCrossentropy": both("CategoricalCrossentropy", CATEGORICAL),
    "SparseCategoricalCrossentropy": both("SparseCategoricalCrossentropy", SPARSE),
    "PRCurve": mine(M.PRCurve(11), curve, TABLES),
    "Perplexity": mine(M.Perplexity(), perplexity, SPARSE),
    "Hinge": both("Hinge", (TABLE_BITS, REAL[0])),
    "SquaredHinge": both("SquaredHinge", (TABLE_BITS, REAL[0])),
    "CategoricalHinge": both("CategoricalHinge", (ONE_HOT, REAL[0])),
    "ExpectedCalibrationError": mine(M.ExpectedCalibrationError(), calibration, SPARSE),
}
cases = pytest.mark.parametrize("case", CASES)


def host(sums):
    return tf.nest.map_structure(lambda x: np.asarray(x, np.float64), sums)


def add(*sums):
    return tf.nest.map_structure(lambda *x: np.sum(x, 0), *map(host, sums))


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * max(1, np.max(wanted)))


def test_every_metric_has_a_reference():
    classes = {
        name
        for name in metrics.__all__
        if isinstance(getattr(metrics, name), type) and name not in ("Metric", "Window")
    }
    assert classes == {case.split(" ")[0] for case in CASES}
    theirs = {
        name
        for name, value in vars(keras.metrics).items()
        if isinstance(value, type) and issubclass(value, keras.metrics.Metric)
    }
    assert theirs - classes == {"Metric", "MeanMetricWrapper"}  # ours: Metric, MeanMetric


@cases
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_its_reference(case, weighted):
    ours, reference, (y_true, y_pred) = CASES[case]
    weight = WEIGHT if weighted else None
    found = ours.result(host(ours(y_true, y_pred, weight)))
    if hasattr(reference, "__code__") and reference.__code__.co_argcount == 0:
        theirs = reference()
        theirs.update_state(y_true, y_pred, weight)
        wanted = np.asarray(theirs.result())
        direction = {"up": "max", "down": "min"}.get(getattr(theirs, "_direction", None))
        assert direction is None or ours.direction == direction
    else:
        wanted = reference(
            y_true, y_pred.astype(y_pred.dtype), WEIGHT.astype(float) if weighted else np.ones(N)
        )
    close(found, wanted)
    assert np.ndim(found) or isinstance(found, float)


@cases
def test_one_batch_is_any_way_of_splitting_it(case):
    ours, _, (y_true, y_pred) = CASES[case]
    whole = ours.result(host(ours(y_true, y_pred, WEIGHT)))

    def summed(*parts):
        return add(*(ours(y_true[i], y_pred[i], WEIGHT[i]) for i in parts))

    order = np.random.default_rng(0).permutation(N)
    close(ours.result(summed(order)), whole)
    close(ours.result(summed(order[:1], order[1:6], order[6:])), whole)
    close(ours.result(summed(*np.split(order, 4))), whole)  # micro-batches, or replicas
    padded = [np.concatenate([a, a[:5]]) for a in (y_true, y_pred)]
    weight = np.concatenate([WEIGHT, np.zeros(5, "f")])
    close(ours.result(host(ours(*padded, weight))), whole)
    ones = ours.result(host(ours(y_true, y_pred, np.ones(N, "f"))))
    close(ours.result(host(ours(y_true, y_pred))), ones)


@cases
def test_compiles_under_xla_to_the_same(case):
    ours, _, data = CASES[case]
    compiled = tf.function(ours, jit_compile=True, autograph=False)
    for args in ((*data,), (*data, WEIGHT)):
        args = [tf.constant(a) for a in args]
        close(ours.result(host(compiled(*args))), ours.result(host(ours(*args))))


@cases
def test_nothing_counted_is_no_nan(case):
    ours, _, (y_true, y_pred) = CASES[case]
    for sums in (ours(y_true, y_pred, np.zeros(N, "f")), ours(y_true[:0], y_pred[:0])):
        assert np.isfinite(ours.result(host(sums))).all()
