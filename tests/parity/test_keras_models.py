"""Keras models themselves, trained by our Trainer instead of Keras `fit`.

With Keras's losses and optimizer as they are, and with ours in their place.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses
import optimizers
from trainer import Trainer

MODELS = ["mlp", "cnn", "text", "two", "two-tuple"]
PER_OUTPUT = ("score_loss", "kind_loss")  # over batches of unequal size: see test_divergences


@pytest.mark.parametrize("objects", ["keras", "ours"])
@pytest.mark.parametrize("name", MODELS)
def test_two_epochs_with_validation(both, name, objects):
    """Weights (moving statistics too), losses and metrics of training and of validation.

    Seen: first update 8e-8, weights after 12 steps 1e-6, values 1.2e-7.
    """
    pair = both(name, fit={"epochs": 2, "validation_split": 0.3}, model="keras", objects=objects)
    pair.agree(apart_from=PER_OUTPUT)


@pytest.mark.parametrize(("name", "jit"), [("mlp", "step"), ("cnn", "loop"), ("two", "loop")])
def test_under_xla(both, name, jit):
    """Keras's own optimizer and losses, inside an XLA step or an XLA loop.

    Seen: first update 1e-7, weights after 16 steps 1.2e-6, values 2.2e-7.
    """
    pair = both(name, fit={"epochs": 2}, model="keras", objects="keras", jit=jit)
    pair.agree(drift=5e-6, first=(1e-5, 1e-6), apart_from=PER_OUTPUT)


@pytest.mark.parametrize(
    ("name", "weighted", "objects"),
    [
        ("masked", False, "ours"),
        ("tagger", False, "keras"),
        ("tagger", False, "ours"),
        ("tagger", True, "ours"),
    ],
)
def test_masks(both, name, weighted, objects):
    """`Embedding(mask_zero=True)`: an LSTM that skips padding, and outputs that carry the mask.

    The tagger's loss counts unmasked steps only, and so do its metrics. (Its epoch loss differs:
    see test_divergences.)

    Seen: first update 4e-8, weights after 12 steps 4e-7, values 1.4e-7.
    """
    rng = np.random.default_rng(6)
    shape = (61,) if name == "masked" else (61, 6)
    fit = {"epochs": 2, "validation_split": 0.3}
    compile = None
    if weighted:
        fit["sample_weight"] = rng.random(shape, np.float32)
        compile = {"metrics": None, "weighted_metrics": ["accuracy"]}
    pair = both(name, compile=compile, fit=fit, model="keras", objects=objects)
    pair.agree(drift=1e-5, apart_from=("loss",) if name == "tagger" else ())


def test_masked_loss_of_a_step(keras_model, our_fit, specimens):
    """The loss of each step of the tagger, over the unmasked steps of its batch."""
    got = our_fit("tagger", model="keras", objects="keras").trained.history.steps["loss"]
    model, specimen = keras_model("tagger"), specimens["tagger"]
    for step, loss in enumerate(got):
        rows = slice(8 * step, 8 * step + 8)
        model.reset_metrics()
        want = model.train_on_batch(specimen.x[rows], specimen.y[rows], return_dict=True)["loss"]
        assert loss == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("objects", ["keras", "ours"])
def test_accumulate_with_masks(our_fit, keras_fit, objects):
    """Parts with different numbers of unmasked steps make what one batch of 24 would."""
    ours = our_fit("tagger", model="keras", objects=objects, accumulate=3)
    theirs = keras_fit("tagger", fit={"batch_size": 24})
    for got, want in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(got, want, 1e-6, 1e-6)


@pytest.mark.parametrize("frozen", [False, True], ids=["trained", "frozen"])
def test_penalties_and_frozen_layers(frozen):
    """Weight and activity regularisers, `add_loss`, a shared layer, and a frozen one.

    A functional model of Keras; every term of its loss is in training and in validation.
    """

    class Penalty(keras.layers.Layer):
        def call(self, x):
            self.add_loss(0.1 * keras.ops.mean(x**2))
            return x

    def build():
        keras.utils.set_random_seed(2)
        shared = keras.layers.Dense(6, "tanh", kernel_regularizer="l2")
        a = keras.Input((6,))
        x = shared(Penalty()(shared(a)))
        x = keras.layers.BatchNormalization(trainable=not frozen)(x)
        x = keras.layers.Dense(4, activity_regularizer="l2", trainable=not frozen)(x)
        return keras.Model(a, keras.layers.Dense(1)(x))

    rng = np.random.default_rng(7)
    x = rng.normal(size=(61, 6)).astype(np.float32)
    y = rng.normal(size=(61, 1)).astype(np.float32)
    how = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    how["validation_data"] = (x[:21], y[:21])
    theirs, ours = build(), build()
    ours.set_weights(theirs.get_weights())
    theirs.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=False)
    want = theirs.fit(x, y, **how).history
    optimizer = optimizers.SGD(0.05, momentum=0.9)
    got = Trainer(ours, loss="mse", optimizer=optimizer, jit=False).fit(x, y, **how).history
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(got[key], want[key], 1e-6)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, 1e-5, 1e-6)


def test_subclassed_model_that_is_not_built():
    """A subclassed Keras model is built from the data, and trains as in Keras."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(8, "relu")
            self.out = keras.layers.Dense(1)

        def call(self, x, training=None):
            return self.out(self.hidden(x))

    rng = np.random.default_rng(8)
    x = rng.normal(size=(61, 6)).astype(np.float32)
    y = rng.normal(size=(61, 1)).astype(np.float32)
    how = {"batch_size": 8, "shuffle": False, "verbose": 0}
    ours = Net()
    trainer = Trainer(ours, loss=losses.MeanSquaredError(), optimizer="sgd", jit=False)
    trainer.evaluate(x, y, verbose=0)  # builds
    theirs = Net()
    theirs(x[:1])
    theirs.set_weights(ours.get_weights())
    theirs.compile("sgd", "mse", jit_compile=False)
    want = theirs.fit(x, y, **how).history["loss"]
    assert trainer.fit(x, y, **how).history["loss"] == pytest.approx(want, rel=1e-6)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, 1e-6, 1e-7)


def test_keras_goes_on_where_we_stopped(our_fit, keras_fit, specimens):
    """The model and Keras's optimizer are Keras's own: Keras `fit` continues from ours."""
    trainer = our_fit("mlp", ("Adam", {"learning_rate": 0.01}), model="keras", objects="keras")
    model, optimizer = trainer.trained.task.model, trainer.trained.task.optimizer
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    specimen = specimens["mlp"]
    model.fit(specimen.x, specimen.y, batch_size=8, shuffle=False, verbose=0)
    theirs = keras_fit("mlp", ("Adam", {"learning_rate": 0.01}), fit={"epochs": 2})
    assert int(tf.convert_to_tensor(optimizer.iterations)) == 16
    for a, b in zip(model.get_weights(), theirs.weights, strict=True):
        np.testing.assert_allclose(a, b, 1e-6, 1e-7)
