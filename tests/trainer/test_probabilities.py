"""Logits where probabilities are wanted, and the other way round, are seen before training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging

import losses
from trainer import Trainer, metrics, probabilities

LOGITS = tf.constant([[-1.0, 0.5, 2.0]])
CHANCES = tf.nn.softmax(LOGITS)


@pytest.fixture
def warned(monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: said.append(text % args))
    return said


@pytest.mark.parametrize("module", [losses, keras.losses])
@pytest.mark.parametrize(
    "name", ["BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"]
)
def test_logits_for_a_loss_of_probabilities_are_refused(module, name, warned):
    loss = getattr(module, name)()
    words = rf"from -1 to 2 .* Pass from_logits=True.*loss={name}\(from_logits=True\)"
    with pytest.raises(ValueError, match=words):
        probabilities.check_loss(loss, LOGITS)
    probabilities.check_loss(loss, CHANCES)
    probabilities.check_loss(getattr(module, name)(from_logits=True), LOGITS)
    assert not warned


def test_what_looks_wrong_is_told(warned):
    probabilities.check_loss(losses.get("sparse_categorical_crossentropy"), CHANCES / 2, "head")
    assert "the output 'head' adds up to 0.5" in warned.pop()
    probabilities.check_loss(losses.CategoricalCrossentropy(from_logits=True), CHANCES)
    assert "like the output of a softmax" in warned.pop()
    for metric in (metrics.AUC(), metrics.Precision(), metrics.BinaryAccuracy()):
        probabilities.check_metric(metric, LOGITS)
        assert f"metric {metric.name!r} takes probabilities" in warned.pop()


def test_what_is_right_or_cannot_be_told_passes(warned):
    independent = tf.constant([[0.9, 0.8]])
    probabilities.check_loss(losses.BinaryCrossentropy(), independent)
    probabilities.check_loss(losses.BinaryCrossentropy(from_logits=True), independent)
    probabilities.check_loss(losses.MeanSquaredError(), LOGITS)
    probabilities.check_loss(losses.BinaryCrossentropy(), LOGITS * np.nan)
    probabilities.check_loss(losses.BinaryCrossentropy(), {"a": LOGITS})
    for metric in (metrics.AUC(from_logits=True), metrics.BinaryAccuracy(threshold=0.0)):
        probabilities.check_metric(metric, LOGITS)
    probabilities.check_metric(metrics.MeanSquaredError(), LOGITS)
    moved = tf.transpose(tf.nn.softmax(tf.ones([2, 5, 3])), [0, 2, 1])
    probabilities.check_loss(losses.CategoricalCrossentropy(axis=1), moved)
    assert not warned


def test_fit_refuses_before_it_trains():
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(3)])
    before = model.get_weights()
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("f")
    trainer = Trainer(model, loss="sparse_categorical_crossentropy", optimizer="sgd")
    with pytest.raises(ValueError, match="these look like logits"):
        trainer.fit(10 * x, np.zeros(8, int), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
