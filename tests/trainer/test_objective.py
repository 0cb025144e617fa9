"""Losses and metrics find their outputs, and say so clearly when they cannot."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses
from trainer.metrics import MeanAbsoluteError
from trainer.objective import Objective, loss_sums

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(5, 2)).astype("float32")
P = RNG.normal(size=(5, 2)).astype("float32")
WEIGHT = RNG.uniform(0.5, 1.5, 5).astype("float32")


def _t(tree):
    return tf.nest.map_structure(tf.convert_to_tensor, tree)


def _bound(y, y_pred, names=None, **given):
    objective = Objective(**{"loss": "mse", **given})
    objective.bind(_t(y), _t(y_pred), names)
    return objective


def _terms(objective, y, y_pred, weight=None, regularizers=()):
    terms, extras = objective.terms(_t(y), _t(y_pred), weight, list(regularizers))
    return [float(t.value) for t in terms], {k: float(v.value) for k, v in extras.items()}


def _mse(weight=None):
    squares = np.square(Y.astype(np.float64) - P).mean(-1)
    return np.sum(squares * (1 if weight is None else weight)) / len(squares)


def test_one_output_in_every_spelling():
    spellings = [
        "mse",
        "mean_squared_error",
        losses.MeanSquaredError(),
        keras.losses.MeanSquaredError(),
        lambda y, p: tf.reduce_mean(tf.square(y - p), -1),
        ["mse"],
    ]
    for loss in spellings:
        (value,), extras = _terms(_bound(Y, P, loss=loss, metrics=["mae"]), Y, P)
        np.testing.assert_allclose(value, _mse(), rtol=1e-6)
        np.testing.assert_allclose(extras["mae"], np.abs(Y - P).mean(), rtol=1e-6)


def test_weights_weigh_the_loss_and_weighted_metrics_only():
    objective = _bound(
        Y, P, metrics=["mae"], weighted_metrics=[MeanAbsoluteError(name="weighted_mae")]
    )
    (value,), extras = _terms(objective, Y, P, WEIGHT)
    np.testing.assert_allclose(value, _mse(WEIGHT), rtol=1e-6)  # divided by rows, as in Keras
    errors = np.abs(Y - P).mean(-1)
    np.testing.assert_allclose(extras["mae"], errors.mean(), rtol=1e-6)
    np.testing.assert_allclose(extras["weighted_mae"], errors @ WEIGHT / WEIGHT.sum(), rtol=1e-6)


def test_mean_with_sample_weight_divides_by_the_weights():
    loss = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    (value,), _ = _terms(_bound(Y, P, loss=loss), Y, P, WEIGHT)
    np.testing.assert_allclose(value, _mse(WEIGHT) * 5 / WEIGHT.sum(), rtol=1e-6)


@pytest.mark.parametrize("module", [losses, keras.losses], ids=["ours", "keras"])
def test_an_ignored_class_counts_nothing(module):
    """The mean is over what is left, as in Keras, with the loss of either side."""
    loss = module.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    y, logits = tf.constant([[0, -1], [1, 1], [-1, -1]]), tf.random.normal([3, 2, 4], seed=1)
    sums, even = loss_sums(loss, y, logits, None)
    reference = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    np.testing.assert_allclose(sums.value, reference(y, logits), rtol=1e-6)
    assert float(sums.count) == 3
    assert not even


def test_regularisers_are_added_whatever_the_batch():
    (value,), _ = _terms(_bound(Y, P), Y, P, regularizers=[tf.constant(0.25), tf.constant(0.5)])
    np.testing.assert_allclose(value, _mse() + 0.75, rtol=1e-6)


TWO = {"a": P, "b": P[:, None, :]}  # b has one element more per row on its axis
TARGETS = {"a": Y, "b": Y[:, None, :]}


@pytest.mark.parametrize("as_tuple", [False, True])
def test_two_outputs_share_one_pass(as_tuple):
    """Means weighted and added; both count rows, so one gradient serves both."""
    y, p = (tuple(TARGETS.values()), tuple(TWO.values())) if as_tuple else (TARGETS, TWO)
    objective = _bound(
        y,
        p,
        ["a", "b"],
        loss={"a": "mse", "b": "mae"},
        loss_weights={"b": 0.5},
        metrics={"b": ["mse"]},
    )
    terms, extras = objective.terms(_t(y), _t(p), None, [])
    assert terms[0].count is terms[1].count
    values = [float(t.value) for t in terms]
    np.testing.assert_allclose(values, [_mse(), 0.5 * np.abs(Y - P).mean()], rtol=1e-6)
    assert set(extras) == {"a_loss", "b_loss", "b_mse"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loss": ["mse", "mae"]}, "list of 2 for 1 output"),
        ({"loss": {"a": "mse"}}, "the outputs are"),
        ({"loss": None}, "loss=None"),
        ({"metrics": ["mae", "mae"]}, "would be called 'mae'"),
        ({"loss": "msee"}, "mse"),
        ({"metrics": ["acuracy"]}, "accuracy"),
    ],
)
def test_one_output_refuses(given, words):
    with pytest.raises(ValueError, match=words):
        _bound(Y, P, **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loss": {"a": "mse", "c": "mae"}}, r"'c'.*'a', 'b'"),
        ({"loss": ["mse"]}, "list of 1 for 2 outputs"),
        ({"metrics": ["mae"]}, "which of the 2 outputs"),
        ({"loss_weights": {"aa": 1.0}}, "Did you mean 'a'"),
    ],
)
def test_two_outputs_refuse(given, words):
    with pytest.raises(ValueError, match=words):
        _bound(TARGETS, TWO, **given)


def test_targets_must_match_the_outputs():
    with pytest.raises(ValueError, match="no entry for the outputs"):
        _bound({"a": Y}, TWO)
    with pytest.raises(ValueError, match=r"tuple of 2 numbers.*np\.asarray\(y\)"):
        _bound((1.0, 2.0), P)
    with pytest.raises(ValueError, match="one output"):
        _bound((Y, Y), P)
    with pytest.raises(ValueError, match="y is missing"):
        _bound(Y, P).terms(None, _t(P), None, [])


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda y, p: tf.reduce_mean(tf.square(y - p)), "one number for the whole batch"),
        (lambda y, p: tf.reduce_mean(tf.square(y - p), 0), r"shape \(2,\) for a batch of 5"),
    ],
)
def test_losses_of_the_wrong_shape_are_refused(loss, words):
    with pytest.raises(ValueError, match=words):
        _terms(_bound(Y, P, loss=loss), Y, P)


def test_classes_are_refused_where_objects_are_wanted():
    with pytest.raises(TypeError, match=r"MeanSquaredError\(\)"):
        _bound(Y, P, loss=losses.MeanSquaredError)
    with pytest.raises(TypeError, match="neither a loss"):
        _bound(Y, P, loss=3)


@pytest.mark.parametrize(
    "loss", [losses.CategoricalGeneralizedCrossEntropy(), losses.LabelAwareMargin([1, 2, 3])]
)
def test_losses_of_class_numbers_say_so(loss):
    objective = Objective(loss)
    objective.bind(tf.constant([0, 1]), tf.fill([2, 3], 1 / 3), None)
    assert objective.integer_targets("labels", "y") == [("labels", 3, "y", ())]
