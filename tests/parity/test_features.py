"""Every argument of `fit` and `compile` that Keras has too, with our layers against Keras `fit`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

RNG = np.random.default_rng(3)
WEIGHTS = (RNG.random(61) * 2 * (RNG.random(61) > 0.2)).astype(np.float32)  # a fifth are 0
CLASSES = {0: 1.0, 1: 5.0, 2: 0.5}
PER_OUTPUT = ("score_loss", "kind_loss")  # over batches of unequal size: see test_divergences


# ---- weights -----------------------------------------------------------------------------------


def test_sample_weight(both):
    """Weights of examples in the loss and in `weighted_metrics`, none in `metrics`.

    Seen: weights 8e-8, values 8e-8; with every other kind of weight below at most 7e-7 and 1.2e-7.
    """
    both(
        "mlp",
        compile={
            "metrics": ["sparse_categorical_accuracy"],
            "weighted_metrics": ["accuracy"],
        },
        fit={"epochs": 2, "sample_weight": WEIGHTS},
    ).agree()


def test_sample_weight_of_validation(both, specimens):
    """`validation_split` takes the weights along; `validation_data` may bring its own."""
    x, y = specimens["mlp"].x, specimens["mlp"].y
    weighted = {"weighted_metrics": ["accuracy"], "metrics": None}
    both("mlp", compile=weighted, fit={"sample_weight": WEIGHTS, "validation_split": 0.4}).agree()
    both("mlp", compile=weighted, fit={"validation_data": (x[:21], y[:21], WEIGHTS[:21])}).agree()


def test_sample_weight_per_output(both):
    """A dict of weights, one array per output."""
    weights = {"score": WEIGHTS, "kind": WEIGHTS[::-1].copy()}
    both("two", fit={"epochs": 2, "sample_weight": weights}).agree(apart_from=PER_OUTPUT)


def test_class_weight(both):
    """Weights by class, applied to training and never to validation."""
    pair = both("mlp", fit={"epochs": 2, "class_weight": CLASSES, "validation_split": 0.3})
    pair.agree()


def test_class_weight_and_sample_weight(keras_fit, our_fit, specimens):
    """Both at once are multiplied; Keras refuses that, so it is given the product."""
    ours = our_fit("mlp", fit={"class_weight": CLASSES, "sample_weight": WEIGHTS})
    product = WEIGHTS * np.array([CLASSES[k] for k in specimens["mlp"].y], np.float32)
    close(ours, keras_fit("mlp", fit={"sample_weight": product}))


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
def test_reductions(both, reduction):
    """The ways of reducing a batch's losses, with sample weights, on batches of one size.

    ("mean_with_sample_weight" over batches of unequal weight: see test_divergences.)
    """
    loss = ("SparseCategoricalCrossentropy", {"from_logits": True, "reduction": reduction})
    fit = {"sample_weight": WEIGHTS, "epochs": 2}
    if reduction == "mean_with_sample_weight":
        fit["sample_weight"] = np.tile(WEIGHTS[:8], 8)[:56]  # the same sum in every batch
    pair = both("mlp", ("SGD", {"learning_rate": 0.01}), {"loss": loss}, _first_rows(fit))
    pair.agree()


def _first_rows(fit):
    """Arguments of fit on the first 56 rows of the MLP's data, so that all batches have 8."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(56, 6)).astype(np.float32)
    y = rng.integers(0, 3, 56).astype(np.int32)
    return {**fit, "x": x, "y": y, "sample_weight": fit["sample_weight"][:56]}


# ---- losses ------------------------------------------------------------------------------------

LOSSES = [
    ("one-hot", ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1})),
    ("one-hot", ("CategoricalFocalCrossentropy", {"from_logits": True})),
    ("one-hot", ("Huber", {"delta": 0.3})),
    ("one-hot", "categorical_hinge"),
    ("text", ("BinaryCrossentropy", {"label_smoothing": 0.2})),
    ("text", "binary_focal_crossentropy"),
    ("temporal", "log_cosh"),
]


@pytest.mark.parametrize(("data", "loss"), LOSSES, ids=[str(i) for i in range(len(LOSSES))])
def test_losses(both, specimens, data, loss):
    """An epoch with each of several losses, made with the same arguments on both sides."""
    fit = {}
    if data == "one-hot":
        data, fit = "mlp", {"y": np.eye(3, dtype=np.float32)[specimens["mlp"].y]}
    both(data, compile={"loss": loss, "metrics": None}, fit=fit).agree()


# ---- accumulation ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp", "text", "two"])
def test_accumulate_against_keras(keras_fit, our_fit, specimens, name):
    """`accumulate=2` against Keras's `gradient_accumulation_steps=2`: 6 batches of 8, 3 updates.

    Seen: weights 3e-8.
    """
    x, y = tf.nest.map_structure(lambda a: a[:48], (specimens[name].x, specimens[name].y))
    fit = {"x": x, "y": y, "epochs": 2}
    optimizer = ("SGD", {"learning_rate": 0.1, "momentum": 0.9})
    ours = our_fit(name, optimizer, fit=fit, accumulate=2)
    name_, kwargs = optimizer
    theirs = keras_fit(name, (name_, {**kwargs, "gradient_accumulation_steps": 2}), fit=fit)
    assert int(theirs.trained.optimizer.iterations) == ours.trained.step == 6
    close(ours, theirs)


@pytest.mark.parametrize(
    ("name", "clip"),
    [("mlp", {}), ("two", {}), ("regularised", {}), ("mlp", {"global_clipnorm": 0.05})],
    ids=["mlp", "two", "regularised", "clipped"],
)
def test_accumulate_against_one_batch(keras_fit, our_fit, name, clip):
    """Three parts of 8 against one Keras batch of 24; the last step, 13 rows, in parts of 5, 5, 3.

    Seen: weights 9e-8.
    """
    optimizer = ("SGD", {"learning_rate": 0.1, "momentum": 0.9, **clip})
    weights = {} if name == "two" else {"sample_weight": WEIGHTS}
    ours = our_fit(name, optimizer, fit={"epochs": 2, **weights}, accumulate=3)
    theirs = keras_fit(name, optimizer, fit={"epochs": 2, "batch_size": 24, **weights})
    close(ours, theirs, apart_from=PER_OUTPUT)


@pytest.mark.parametrize("jit", ["step", "loop"])
def test_accumulate_under_xla(keras_fit, our_fit, jit):
    """The same under XLA. Seen: weights 1.2e-7."""
    ours = our_fit("mlp", fit={"epochs": 2}, accumulate=3, jit=jit)
    close(ours, keras_fit("mlp", fit={"epochs": 2, "batch_size": 24}), weights=1e-5)


def close(ours, theirs, *, weights=1e-6, apart_from=()):
    """Asserts that epoch values and final weights agree to 1e-6."""
    seen = max(np.abs(a - b).max() for a, b in zip(ours.weights, theirs.weights, strict=True))
    print(f"PARITY weights {seen:.1e}")
    for key, values in theirs.logs.items():
        if not key.endswith(apart_from):
            np.testing.assert_allclose(ours.logs[key], values, 1e-6, err_msg=key)
    for got, want in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(got, want, weights, weights)


# ---- validation and data -----------------------------------------------------------------------


def test_validation_every_second_epoch(both, specimens):
    """`validation_freq=2` with batches of another size: two validations in 5 epochs."""
    fit = {
        "epochs": 5,
        "validation_data": (specimens["mlp"].x[:30], specimens["mlp"].y[:30]),
        "validation_freq": 2,
        "validation_batch_size": 7,
    }
    pair = both("mlp", fit=fit)
    pair.agree()
    assert len(pair.ours.logs["val_loss"]) == 2


@pytest.mark.parametrize("batch_size", [1, 100])
def test_batch_sizes(both, batch_size):
    """One row, and more than there are."""
    both("mlp", fit={"batch_size": batch_size}).agree(drift=5e-6)


def test_steps_per_epoch(both, specimens):
    """An endless dataset, cut into epochs of 5 steps."""
    specimen = specimens["mlp"]
    data = tf.data.Dataset.from_tensor_slices((specimen.x, specimen.y)).batch(8).repeat()
    endless = _Fresh({"x": data, "y": None, "batch_size": None, "epochs": 3, "steps_per_epoch": 5})
    both("mlp", fit=endless).agree()


@pytest.mark.parametrize("name", ["mlp", "two"])
def test_datasets(both, specimens, name):
    """A `tf.data.Dataset` of weighted batches, the last one short, and one to validate on."""
    specimen = specimens[name]
    data = tf.data.Dataset.from_tensor_slices((specimen.x, specimen.y, WEIGHTS)).batch(8)
    fit = _Fresh(
        {"x": data, "y": None, "batch_size": None, "epochs": 2, "validation_data": data.take(2)}
    )
    both(name, fit=fit).agree(apart_from=PER_OUTPUT)


class _Fresh(dict):
    """Arguments that hold a dataset, which no run can be remembered by."""

    def __reduce__(self):
        return (str, (str(id(self)),))


# ---- the model's own terms ---------------------------------------------------------------------


def test_regularisers(both):
    """Penalties are added whole to each batch's loss, in training and in validation."""
    both("regularised", fit={"epochs": 2, "validation_split": 0.3}).agree()


def test_temporal_sample_weight(both):
    """Outputs `[b, t, 1]` with one weight per time step."""
    weights = np.random.default_rng(4).random((61, 5), np.float32)
    both(
        "temporal",
        compile={"metrics": None, "weighted_metrics": ["mae"]},
        fit={"epochs": 2, "sample_weight": weights},
    ).agree()


def test_temporal_weight_per_example(keras_fit, our_fit):
    """Weights `[b]` over `[b, t]` losses: Keras fails on them, so it is given them repeated."""
    compile = {"metrics": None, "weighted_metrics": ["mae"]}
    ours = our_fit("temporal", compile=compile, fit={"sample_weight": WEIGHTS})
    repeated = {"sample_weight": np.repeat(WEIGHTS[:, None], 5, 1)}
    close(ours, keras_fit("temporal", compile=compile, fit=repeated))


def test_fit_twice(keras_model, specimens, our_fit):
    """A second `fit` goes on with the optimizer's state, as Keras's does."""
    ours = our_fit("mlp").trained
    model, specimen = keras_model("mlp"), specimens["mlp"]
    how = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model.fit(specimen.x, specimen.y, **how)
    want = model.fit(specimen.x[:40], specimen.y[:40], **how).history
    got = ours.fit(specimen.x[:40], specimen.y[:40], **how).history
    assert got["loss"] == pytest.approx(want["loss"], rel=1e-6)
    for a, b in zip(ours.task.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, 1e-6, 1e-6)
