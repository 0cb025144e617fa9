"""Our layers, losses and optimizers in our Trainer against Keras `fit`, model by model."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer import inspect

MODELS = ["mlp", "cnn", "text", "two"]
# Keras averages the loss of each of several outputs over batches, however few rows one has: see
# test_divergences.
PER_OUTPUT = ("score_loss", "kind_loss")


@pytest.mark.parametrize("name", MODELS)
def test_two_epochs_with_validation(both, name):
    """Weights (moving statistics too), losses and metrics of training and of validation.

    42 rows to train on and 19 to validate on: both end in a short batch. Seen: first update 8e-8,
    weights after 12 steps 9e-7, logs 2e-7.
    """
    pair = both(name, fit={"epochs": 2, "validation_split": 0.3})
    assert {"loss", "val_loss"} <= pair.keras.logs.keys()
    pair.agree(apart_from=PER_OUTPUT)


@pytest.mark.parametrize("jit", ["step", "loop"])
@pytest.mark.parametrize("name", MODELS)
def test_under_xla(both, name, jit):
    """The same with XLA, which adds in another order and fuses multiplications with additions.

    Seen: first update 4.5e-7 of the largest weight, weights after 16 steps 1e-6, logs 1.6e-7.
    """
    validation = {"validation_split": 0.3} if (name, jit) == ("mlp", "loop") else {}
    pair = both(name, fit={"epochs": 2, **validation}, jit=jit)
    pair.agree(drift=5e-6, first=(1e-5, 1e-6), apart_from=PER_OUTPUT)


@pytest.mark.parametrize(
    ("name", "drift", "logs"), [("mlp", 1e-5, 1e-6), ("cnn", 2e-4, 1e-5), ("text", 1e-5, 1e-6)]
)
def test_drift_of_200_steps(both, two_hundred, name, drift, logs):
    """200 steps: weights part by rounding alone, which training amplifies or forgets.

    The gradient of a convolution is summed by several threads, so the CNN's first update already
    differs by 8e-8, from run to run too; its maxima and ReLUs amplify that.

    Seen: mlp 0, cnn 1.7e-5 (its epoch loss 2e-6), text 1.2e-6.
    """
    both(name, fit=two_hundred(name)).agree(drift=drift, logs=logs)


@pytest.mark.parametrize("name", MODELS)
def test_each_step(keras_model, our_trainer, specimens, name):
    """The loss and the weights of every one of the 8 steps.

    Seen: losses 1.7e-7 relative, weights 1.8e-7 at most in any step.
    """
    specimen = specimens[name]
    runs = our_trainer(name), keras_model(name)
    how = {"steps": 8, "batch_size": 8, "copy_weights": False, "tolerance": 1e-5}
    found = inspect.compare(*runs, specimen.x, specimen.y, **how)
    assert found.parting is None and found.losses.shape == (8, 2), found


@pytest.mark.parametrize("name", ["cnn", "two"])
def test_evaluate_and_predict(our_fit, keras_model, specimens, name):
    """Inference after training: moving statistics are used, and all 61 rows count once.

    Keras evaluates the weights that we trained. Seen: outputs 1.2e-7.
    """
    trainer = our_fit(name).trained
    model, specimen = keras_model(name), specimens[name]
    model.set_weights(trainer.task.model.get_weights())
    want = model.evaluate(specimen.x, specimen.y, batch_size=8, verbose=0, return_dict=True)
    got = trainer.evaluate(specimen.x, specimen.y, batch_size=8, verbose=0)
    for key, value in want.items():
        if key not in PER_OUTPUT:
            assert got[key] == pytest.approx(value, rel=1e-6), key
    outputs = trainer.predict(specimen.x, batch_size=8), model.predict(specimen.x, verbose=0)
    for a, b in zip(*map(tf.nest.flatten, outputs), strict=True):
        np.testing.assert_allclose(a, b, 1e-5, 1e-6)


def test_two_outputs_on_equal_batches(both, specimens):
    """56 rows, all batches of 8: the losses of the outputs agree too. Seen: 1e-7."""
    x, y = (
        {key: array[:56] for key, array in nest.items()}
        for nest in (specimens["two"].x, specimens["two"].y)
    )
    both("two", fit={"x": x, "y": y, "epochs": 2}).agree()
