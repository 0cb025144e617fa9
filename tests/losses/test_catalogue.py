"""Every loss against its reference: Keras, or the paper's formula in NumPy with float64.

The losses are found by walking the package: one without an entry here fails.
"""

from __future__ import annotations

import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses

RNG = np.random.default_rng(11)
B, K, D = 6, 5, 3


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def softplus(z):
    return np.logaddexp(0.0, z)


def mean(z):
    return z.reshape(len(z), -1).mean(1)


REAL = RNG.normal(size=(2, B, K))
POSITIVE = RNG.uniform(0.5, 3.0, (2, B, K))
CHANCES = RNG.uniform(0.05, 0.95, (B, K))
BITS = RNG.integers(0, 2, (B, K)).astype(float)
LABELS = RNG.integers(0, K, B)
ONE_HOT = np.eye(K)[LABELS]
DISTRIBUTION = softmax(REAL[0])
IMAGES = RNG.integers(0, 2, (B, 4, 3, 1)).astype(float), RNG.uniform(0.1, 0.9, (B, 4, 3, 1))
CORNERS = RNG.uniform(0, 1, (2, B, 2, 2))
BOXES = np.concatenate([CORNERS.min(2), CORNERS.max(2) + 0.1], -1)
CLASSES = np.array([0, 0, 1, 1, 1, 2])  # the last has no positive
EMBEDDED = unit(RNG.normal(size=(B, D)))
VIEWS = RNG.normal(size=(2, B, D))
SEQUENCES = np.array([[1, 2, 2], [3, 0, 0], [2, 1, 0], [0, 0, 0]])
STEPS = RNG.normal(size=(4, 5, 4))
SCORES = RNG.normal(size=(2, B, 2, 1))
LISTS = (
    np.array([[3.0, 0, 1, -1, -1], [0, 0, 0, 0, 0], [-1] * 5, [1, 2, 0, 1, -1]]),
    RNG.normal(size=(4, 5)),
)
KERNEL = RNG.normal(size=(K, 7))


def pinball(y, p):
    return np.maximum(0.5 * (y - p), -0.5 * (y - p)).mean(-1)


def generalised(y, p):
    return (1 - p[np.arange(B), y] ** 0.5) / 0.5


def poly(y, p):
    p = p / p.sum(-1, keepdims=True)
    return -(y * np.log(p)).sum(-1) + 1 - (y * p).sum(-1)


def sparsemax_loss(y, z):
    """By the threshold of every possible support; the right one gives the largest value."""
    out = []
    for q, row in zip(y, z, strict=True):
        best = -np.inf
        for size in range(1, K + 1):
            for support in map(list, itertools.combinations(range(K), size)):
                p = np.zeros(K)
                p[support] = row[support] - (row[support].sum() - 1) / size
                if (p >= 0).all():
                    best = max(best, p @ row - 0.5 * p @ p)
        out.append(best - q @ row + 0.5 * q @ q)
    return np.array(out)


def label_aware_margin(y, z):
    logits = 30.0 * (z - np.eye(K)[y] * MARGINS)
    return -np.log(softmax(logits)[np.arange(B), y])


MARGINS = 0.5 * (np.arange(1, K + 1) ** -0.25)
COUNTS = np.arange(1, K + 1)


def giou(y, p):
    def area(box):
        return np.prod(np.maximum(box[:, 2:] - box[:, :2], 0), -1)

    def corners(low, high):
        return np.concatenate([low(y[:, :2], p[:, :2]), high(y[:, 2:], p[:, 2:])], -1)

    both, hull = area(corners(np.maximum, np.minimum)), area(corners(np.minimum, np.maximum))
    union = area(y) + area(p) - both
    return 1 - both / union + (hull - union) / hull


def ctc(y, z):
    """By every alignment there is."""
    logs = np.log(softmax(z))
    out = []
    for labels, rows in zip(y, logs, strict=True):
        total = -np.inf
        for path in itertools.product(range(z.shape[-1]), repeat=len(rows)):
            merged = [k for k, _ in itertools.groupby(path) if k]
            if merged == [k for k in labels if k]:
                total = np.logaddexp(total, sum(rows[t, k] for t, k in enumerate(path)))
        out.append(-total)
    return np.array(out)


def distances(e):
    return np.array([[np.linalg.norm(a - b) for b in e] for a in e])


def triplets(y, e, value):
    """The mean over positives of `value(d(a, p), distances of negatives)`, one anchor a time."""
    d, out = distances(e), []
    for a in range(len(y)):
        negatives = d[a][y != y[a]]
        per_pair = [
            value(a, p, d[a, p], negatives) for p in range(len(y)) if y[p] == y[a] and p != a
        ]
        out.append(np.mean(per_pair) if per_pair else 0.0)
    return np.array(out)


def triplet_semihard(y, e):
    def value(a, p, near, negatives):
        farther = negatives[negatives > near]
        return max(near - (farther.min() if len(farther) else negatives.max()) + 1.0, 0.0)

    return triplets(y, e, value)


def triplet_hard(y, e):
    d, out = distances(e), []
    for a in range(len(y)):
        positives = [d[a, p] for p in range(len(y)) if y[p] == y[a] and p != a]
        out.append(max(max(positives) - d[a][y != y[a]].min() + 1.0, 0.0) if positives else 0.0)
    return np.array(out)


def lifted_structure(y, e):
    d = distances(e)

    def value(a, p, near, negatives):
        total = np.exp(1.0 - negatives).sum() + np.exp(1.0 - d[p][y != y[p]]).sum()
        return 0.5 * max(near + np.log(total), 0.0) ** 2

    return triplets(y, e, value)


def n_pairs(y, s):
    logs = np.log(softmax(s))
    return np.array([-logs[i][y == y[i]].mean() for i in range(len(y))])


def info_nce(y, p, temperature=0.07):
    return -np.log(np.diag(softmax(unit(p) @ unit(y).T / temperature)))


def nt_xent(y, p):
    views = unit(np.concatenate([y, p]))
    s = np.exp(views @ views.T / 0.1)
    np.fill_diagonal(s, 0.0)
    other = (np.arange(2 * B) + B) % (2 * B)
    values = -np.log(s[np.arange(2 * B), other] / s.sum(1))
    return (values[:B] + values[B:]) / 2


def siglip(y, p):
    z = unit(p) @ unit(y).T / 0.1 - 10.0
    return softplus(np.where(np.eye(B) > 0, -z, z)).sum(1)


def distillation(t, s):
    t, s = softmax(t / 3), softmax(s / 3)
    return 9 * (t * np.log(t / s)).sum(-1)


def ranking_softmax(y, s):
    out = []
    for relevance, scores in zip(y, s, strict=True):
        real = relevance >= 0
        out.append(-(relevance[real] * np.log(softmax(scores[real]))).sum() if real.any() else 0.0)
    return np.array(out)


def gradient_penalty(real, fake):
    bits = tf.random.stateless_uniform([B, 1], [1, 2], None, None, tf.uint32, "philox")
    u = np.floor(bits.numpy() / 2.0**8) / 2.0**24
    gradient = np.cos(u * real + (1 - u) * fake)  # of the sum of sines
    return (np.linalg.norm(gradient, axis=-1) - 1.0) ** 2


def chunked(y, h):
    return -np.log(softmax(h @ KERNEL)[np.arange(B), y])


KERAS = "keras"
# function -> (reference, arguments, how to call it): the arguments are those of the reference.
CASES = {
    "mean_squared_error": (KERAS, REAL),
    "mean_absolute_error": (KERAS, REAL),
    "mean_absolute_percentage_error": (KERAS, POSITIVE),
    "mean_squared_logarithmic_error": (KERAS, POSITIVE),
    "huber": (KERAS, 2 * REAL),
    "log_cosh": (KERAS, REAL),
    "pinball": (pinball, REAL),
    "cosine_similarity": (KERAS, REAL),
    "poisson": (KERAS, POSITIVE),
    "kl_divergence": (KERAS, (DISTRIBUTION, softmax(REAL[1]))),
    "binary_crossentropy": (KERAS, (BITS, CHANCES)),
    "categorical_crossentropy": (KERAS, (ONE_HOT, DISTRIBUTION)),
    "sparse_categorical_crossentropy": (KERAS, (LABELS, DISTRIBUTION)),
    "binary_focal_crossentropy": (KERAS, (BITS, CHANCES)),
    "categorical_focal_crossentropy": (KERAS, (ONE_HOT, DISTRIBUTION)),
    "hinge": (KERAS, (BITS, REAL[0])),
    "squared_hinge": (KERAS, (BITS, REAL[0])),
    "categorical_hinge": (KERAS, (ONE_HOT, REAL[0])),
    "dice": (KERAS, IMAGES, {"axis": (1, 2, 3)}),
    "tversky": (KERAS, IMAGES, {"axis": (1, 2, 3), "alpha": 0.3, "beta": 0.8}),
    "ctc": (ctc, (SEQUENCES, STEPS)),
    "circle": (KERAS, (CLASSES, EMBEDDED)),
    "giou": (giou, BOXES),
    "contrastive": (
        lambda y, d: y * d**2 + (1 - y) * np.maximum(1 - d, 0) ** 2,
        (BITS[:, 0], POSITIVE[0, :, 0]),
    ),
    "triplet_semihard": (triplet_semihard, (CLASSES, EMBEDDED)),
    "triplet_hard": (triplet_hard, (CLASSES, EMBEDDED)),
    "lifted_structure": (lifted_structure, (CLASSES, EMBEDDED)),
    "n_pairs": (n_pairs, (CLASSES, EMBEDDED @ VIEWS[0].T)),
    "info_nce": (info_nce, VIEWS),
    "clip": (lambda y, p: (info_nce(y, p) + info_nce(p, y)) / 2, VIEWS),
    "nt_xent": (nt_xent, VIEWS),
    "siglip": (siglip, VIEWS),
    "gan_discriminator": (lambda r, f: mean(softplus(-r)) + mean(softplus(f)), SCORES),
    "gan_generator": (lambda f: mean(softplus(-f)), SCORES[:1]),
    "hinge_discriminator": (
        lambda r, f: mean(np.maximum(1 - r, 0)) + mean(np.maximum(1 + f, 0)),
        SCORES,
    ),
    "hinge_generator": (lambda f: -mean(f), SCORES[:1]),
    "least_squares_discriminator": (lambda r, f: (mean((r - 1) ** 2) + mean(f**2)) / 2, SCORES),
    "least_squares_generator": (lambda f: mean((f - 1) ** 2) / 2, SCORES[:1]),
    "wasserstein_critic": (lambda r, f: mean(f) - mean(r), SCORES),
    "wasserstein_generator": (lambda f: -mean(f), SCORES[:1]),
    "gradient_penalty": (gradient_penalty, VIEWS),
    "distillation": (distillation, REAL),
    "ranking_softmax": (ranking_softmax, LISTS),
    "chunked_crossentropy": (chunked, (LABELS, REAL[0])),
    "z_loss": (lambda z: 1e-4 * np.log(np.exp(z).sum(-1)) ** 2, REAL[:1]),
    "categorical_generalized_cross_entropy": (generalised, (LABELS, CHANCES), {"q": 0.5}),
    "categorical_poly_crossentropy": (poly, (ONE_HOT, CHANCES)),
    "sparsemax_loss": (sparsemax_loss, (ONE_HOT, REAL[0])),
    "label_aware_margin": (label_aware_margin, (LABELS, np.tanh(REAL[0])), {"margins": MARGINS}),
}
CALLS = {
    "gradient_penalty": lambda r, f: losses.gradient_penalty(
        lambda x: tf.reduce_sum(tf.sin(x), -1), r, f, [1, 2]
    ),
    "chunked_crossentropy": lambda y, h: losses.chunked_crossentropy(y, h, KERNEL, chunk=4),
}
# Whose examples are compared with each other: alone they have another value.
TOGETHER = {
    *("circle", "triplet_semihard", "triplet_hard", "lifted_structure", "n_pairs"),
    *("info_nce", "clip", "nt_xent", "siglip", "gradient_penalty"),
}
NO_LOSS = {"get", "names", "reduce_values", "sparsemax"}
FUNCTIONS = [
    n for n in losses.__all__ if inspect.isfunction(getattr(losses, n)) and n not in NO_LOSS
]
CONFIGS = {"label_aware_margin": {"class_counts": COUNTS}}


def case(name):
    reference, args, *config = CASES[name]
    args = [np.asarray(a) for a in args]
    return reference, args, config[0] if config else {}


def call(name):
    config = case(name)[2]
    return CALLS.get(name, lambda *args: getattr(losses, name)(*args, **config))


def tensors(args, dtype=tf.float32):
    return [tf.constant(a, dtype if a.dtype.kind == "f" else tf.int32) for a in args]


def graded(function, args):
    """Values, and the gradient of their sum to the last argument, the predictions."""
    with tf.GradientTape() as tape:
        tape.watch(args[-1])
        values = function(*args)
    return values, tape.gradient(values, args[-1])


def wanted(name):
    """What Keras gives; or the formula's value and its slope by differences, in float64."""
    reference, args, config = case(name)
    if reference is KERAS:
        return graded(lambda *a: getattr(keras.losses, name)(*a, **config), tensors(args))
    slope, *others = np.zeros(args[-1].shape), *args[:-1]
    for at in np.ndindex(args[-1].shape):
        step = np.zeros(args[-1].shape)
        step[at] = 1e-5
        up, down = (reference(*others, args[-1] + s).sum() for s in (step, -step))
        slope[at] = (up - down) / 2e-5
    return reference(*args), slope


def test_every_loss_has_a_reference():
    assert set(FUNCTIONS) == set(CASES)
    assert set(losses.names()) <= set(CASES)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_its_reference_plain_and_under_xla(name):
    args = tensors(case(name)[1])
    value, slope = wanted(name)
    compiled = tf.function(lambda *a: graded(call(name), a), jit_compile=True, autograph=False)
    for found in (graded(call(name), args), compiled(*args)):
        assert found[0].dtype == tf.float32
        assert found[0].shape[0] == args[-1].shape[0]
        np.testing.assert_allclose(found[0], value, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(found[1], slope, rtol=1e-5, atol=2e-6 * np.abs(slope).max())


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - TOGETHER))
def test_an_example_alone_has_the_value_it_has_in_the_batch(name):
    args = tensors(case(name)[1])
    whole = call(name)(*args)
    alone = [call(name)(*(a[i : i + 1] for a in args)) for i in range(len(whole))]
    np.testing.assert_allclose(tf.concat(alone, 0), whole, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_half_precision_only_rounds_the_arguments(name, dtype):
    args = tensors(case(name)[1], dtype)
    rounded = [tf.cast(a, tf.float32) if a.dtype == dtype else a for a in args]
    value, gradient = graded(call(name), args)
    assert value.dtype == tf.float32
    assert gradient.dtype == dtype
    # Products of a chunk's rows are taken in the dtype of the model.
    tolerance = (
        {"rtol": 0.05, "atol": 0.1}
        if name == "chunked_crossentropy"
        else {"rtol": 1e-5, "atol": 1e-6}
    )
    np.testing.assert_allclose(value, call(name)(*rounded), **tolerance)


def made(name, **more):
    loss = losses.get({"class_name": name, "config": {**CONFIGS.get(name, {}), **more}})
    return loss, tensors(case(name)[1])


@pytest.mark.parametrize("name", losses.names())
def test_nothing_to_learn_gives_zero_and_no_gradient(name):
    """No example at all, all of weight 0, or all masked by Keras."""
    loss, args = made(name)
    empty = [a[:0, :0] if name == "n_pairs" and a.shape.rank == 2 else a[:0] for a in args]
    value, gradient = graded(loss, empty)
    assert (float(value), gradient.shape[0]) == (0.0, 0)
    for weights in (tf.zeros(args[-1].shape[:1]), None):
        with tf.GradientTape() as tape:
            tape.watch(args[-1])
            y_pred = tf.identity(args[-1])
            if weights is None:
                y_pred._keras_mask = tf.zeros(args[-1].shape[:1], tf.bool)
            value = loss(args[0], y_pred, sample_weight=weights)
        assert float(value) == 0.0
        np.testing.assert_array_equal(tape.gradient(value, args[-1]), np.zeros(args[-1].shape))


EXTREMES = {
    "logits": (1e4, -1e4, 0.0, 1e4, -1e4),
    "chances": (0.0, 1.0, 0.0, 1.0, 0.0),
}


# A rate or a distribution is not below 0, nor an embedding of length 1 above it.
BOUNDED = {"poisson", "mean_squared_logarithmic_error", "kl_divergence", "circle"}


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("kind", list(EXTREMES))
def test_extremes_stay_finite(name, kind):
    """Logits of +-1e4 and probabilities of 0 and 1: never NaN or infinity, also in float16.

    Logits that are taken for probabilities are among them.
    """
    kind = "chances" if name in BOUNDED else kind
    configs = [{}]
    if "from_logits" in inspect.signature(getattr(losses, name)).parameters:
        configs.append({"from_logits": True})
    # The slope of log(rate) at 0 is 1e7, which float16 does not hold.
    dtypes = (tf.float32,) if name == "poisson" else (tf.float32, tf.float16)
    for config, dtype in itertools.product(configs, dtypes):
        loss, args = made(name, **config)
        pattern = np.resize(EXTREMES[kind], args[-1].shape)
        pattern[-1] = pattern[0]  # also two that are equal
        value, gradient = graded(loss, [args[0], tf.constant(pattern, dtype)])
        assert np.isfinite(value), f"{value} from {dtype} {config}"
        assert np.isfinite(gradient).all(), f"{dtype} {config}"
