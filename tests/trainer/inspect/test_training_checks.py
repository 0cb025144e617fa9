"""Training on one batch: when it ends, and how it is judged."""

import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Trainer
from trainer.inspect.patient import Patient
from trainer.inspect.training_checks import Trial, overfits, train_on_one

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")


def patient(rate):
    trainer = Trainer(L.Dense(1), loss="mse", optimizer=optimizers.SGD(rate), jit=False)
    trainer.prepare(X, X[:, :1]).close()
    return Patient(trainer.task, trainer.programs, (tf.constant(X), tf.constant(X[:, :1])))


def test_it_is_training_on_the_very_batch():
    case = patient(0.1)
    w, b = case.task.model.kernel.numpy().astype("float64"), 0.0
    found = train_on_one(case).losses
    assert found[-1] < 0.2 * found[0] and len(found) < 401
    for loss in found[:5]:  # gradient descent in float64
        error = X @ w + b - X[:, :1]
        np.testing.assert_allclose(loss, np.mean(error**2), rtol=1e-4)
        w, b = w - 0.1 * 2 * X.T @ error / 16, b - 0.1 * 2 * error.mean()
    assert train_on_one(patient(0.0)).losses.shape == (401,)


@pytest.mark.parametrize(
    ("losses", "mark"),
    [([1.0, 0.1], "pass"), ([1.0, 0.7], "warn"), ([1.0, 0.99], "fail"), ([1.0, np.nan], "fail")],
)
def test_how_losses_are_judged(losses, mark):
    trial = Trial(np.array([losses[0], *losses[1:] * 9]), 0.1, tf.Graph())
    assert overfits(patient(0.1), trial, 1).mark == mark
    if mark != "fail" or np.isfinite(losses[-1]):
        assert overfits(patient(0.1), trial, 2).mark == "skip"
