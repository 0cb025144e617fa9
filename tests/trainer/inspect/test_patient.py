"""The patient: steps are run without updates, and rows are exchanged."""

import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Task, Trainer
from trainer.inspect.patient import Patient, name_of, same

X = np.arange(24, dtype="float32").reshape(8, 3)


@pytest.fixture
def patient():
    model = L.Sequential([L.Dense(2), L.BatchNormalization(), L.Dense(1)])
    trainer = Trainer(model, loss="mse", optimizer=optimizers.SGD(0.1))
    batch = (tf.constant(X), tf.constant(X[:, :1]))
    trainer.prepare(*batch).close()
    return Patient(trainer.task, trainer.programs, batch)


def values(patient):
    return {v.name: v.numpy() for v in patient.task.variables}


def test_gradients_are_those_of_the_mean_loss_and_nothing_is_updated(patient):
    before = values(patient)
    (found,) = patient.minimized(patient.batch)
    x, y = patient.batch
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(patient.task.model(x, training=True) - y))
    wanted = tape.gradient(loss, found.variables)
    for a, b in zip(found.gradients, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.loss.value, loss, rtol=1e-6)
    trained = {v.name for v in found.variables}
    after = values(patient)
    assert all(np.array_equal(before[k], after[k]) for k in trained)


def test_watching_puts_moving_statistics_back(patient):
    before = values(patient)
    watch, minimized = patient.watched("train", patient.batch)
    assert [c.path for c in watch.calls] == [
        "model/layers/0",
        "model/layers/1",
        "model/layers/2",
        "model",
    ]
    assert len(minimized) == 1
    assert all(np.array_equal(before[k], v) for k, v in values(patient).items())


def test_rows_are_exchanged(patient):
    x, y = patient.other_rows(patient.batch, 3)
    np.testing.assert_array_equal(x, np.concatenate([X[:3], np.repeat(X[:1], 5, 0)]))
    assert y.shape == (8, 1)
    assert patient.take(2)[0].shape == (2, 3)


def test_how_the_task_infers(patient):
    class Own(Task):
        def eval_step(self, batch, ctx):
            return {}

    assert patient.inference == "predict"
    assert Patient(Own(), patient.programs, patient.batch).inference == "evaluate"
    assert Patient(Task(), patient.programs, patient.batch).inference is None


def test_names_and_equality(patient):
    assert name_of(patient.task, patient.task.model.layers[0].kernel) == "model/layers/0/kernel"
    nan, one = np.float32("nan"), np.float32(1)
    assert same([nan, one], [nan, one * (1 + 1e-7)]) and not same([nan, one], [one, one])
    assert not same([1, 2], [1, 3]) and not same(np.ones(2), np.ones(3))
    assert same([np.inf], [np.inf]) and not same([0.0], [1e-3])
