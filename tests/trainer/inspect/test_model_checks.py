"""The checks of the model, on what a doctor's whole examination does not reach."""

import numpy as np
import pytest
import tensorflow as tf

import layers as L
import losses
import optimizers
from trainer import Trainer
from trainer.inspect import model_checks
from trainer.inspect.patient import Patient
from trainer.inspect.watch import Call, Watch

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")


def patient(loss, y, *last, x=X):
    model = L.Sequential([L.Dense(4, "relu"), *last])
    trainer = Trainer(model, loss=loss, optimizer=optimizers.SGD(0.1))
    trainer.prepare(x, y).close()
    return Patient(trainer.task, trainer.programs, (tf.constant(x), tf.constant(y)))


@pytest.mark.parametrize(
    ("loss", "y", "last", "chance"),
    [
        ("sparse", np.arange(16) % 5, L.Dense(5), np.log(5)),
        (
            "categorical_crossentropy",
            np.eye(4, dtype="float32")[np.arange(16) % 4],
            L.Dense(4, "softmax"),
            np.log(4),
        ),
        ("binary_crossentropy", (X[:, :1] > 0).astype("float32"), L.Dense(1, "sigmoid"), np.log(2)),
        ("mse", X[:, :2] + 7, L.Dense(2), np.var(X[:, :2], axis=0).mean()),
    ],
)
def test_what_chance_gives(loss, y, last, chance):
    if loss == "sparse":
        loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    found = model_checks._chance(patient(loss, y, last))
    np.testing.assert_allclose(found, chance, rtol=1e-4)


def test_a_trained_model_is_not_held_against_chance():
    found = model_checks.initial_loss(patient("mse", X[:, :1], L.Dense(1)), 7)
    assert found.mark == "skip" and "7 steps" in found.text


def test_a_gradient_that_is_zero_at_first_only_is_no_fault():
    case = patient("mse", X[:, :1], L.Dense(1))
    zero = {"model/layers/0/kernel": "all zero"}
    assert model_checks.gradients(case, zero, {}).mark == "pass"
    assert model_checks.gradients(case, zero, zero).mark == "fail"
    assert model_checks.gradients(case, {"w": "not finite"}, {}).mark == "fail"


def call(path, x, y):
    return Call(path, object(), (np.asarray(x),), {}, np.asarray(y), True)


def test_calls_part_where_equal_inputs_give_other_outputs():
    rows, keep = 4, 2
    a = [call("a", [1, 2, 3, 4], [1, 2, 3, 4]), call("b", [1, 2, 3, 4], [2, 4, 6, 8])]
    b = [call("a", [1, 2, 9, 9], [1, 2, 9, 9]), call("b", [1, 2, 9, 9], [2, 5, 6, 8])]
    assert model_checks.parting(a, b, rows, keep).path == "b"
    assert model_checks.parting(a, a, rows, keep) is None
    # [b * t] is examples first, [t, b] (3 x 4 here) is not, and is compared whole.
    a = [call("a", np.arange(8), np.arange(8))]
    b = [call("a", [0, 1, 2, 3, 9, 9, 9, 9], [0, 1, 2, 3, 9, 9, 9, 9])]
    assert model_checks.parting(a, b, rows, keep) is None


def test_training_is_told_in_the_place_where_the_call_had_it():
    class Plain(tf.Module):
        def __call__(self, x, training, scale=1.0):
            return x

    module = Plain()
    told = model_checks._with_training
    with Watch(module):  # whose wrappers have the signatures of what they wrap
        assert told(module, (1, True, 2.0), {}, False) == ((1, False, 2.0), {})
        assert told(module, (1,), {"training": True}, False) == ((1,), {"training": False})
        assert told(module, (1,), {}, True) == ((1,), {"training": True})
