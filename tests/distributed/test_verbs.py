"""Whatever the model and the data are: replicas fit, evaluate and predict as one device does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from trainer import Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(58, 8)).astype("float32")
Y = (X[:, :4] @ RNG.normal(size=(4, 3))).argmax(-1)


def keras_model(built):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            *([keras.Input((8,))] if built else []),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.BatchNormalization(synchronized=True),
            keras.layers.Dense(3),
        ]
    )


MODELS = {
    "keras, built": lambda: keras_model(True),
    "keras, lazy": lambda: keras_model(False),
    "ours": lambda: layers.Sequential([layers.Dense(8, activation="tanh"), layers.Dense(3)]),
}


def stream():
    for first in range(0, 58, 16):
        yield X[first : first + 16], Y[first : first + 16]


@pytest.mark.parametrize("name", MODELS)
def test_all_verbs(name, mirrored):
    found = []
    for strategy in (None, mirrored(2)):
        model = MODELS[name]()
        trainer = Trainer(
            model,
            loss=losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=optimizers.SGD(0.05, momentum=0.9),
            metrics=["accuracy"],
            strategy=strategy,
            jit=False,
        )
        if name == "ours":
            trainer.fit(stream, epochs=2, verbose=0)
            data = (tf.data.Dataset.from_tensor_slices((X, Y)).batch(16),)
        else:
            data = (X, Y)
        trainer.fit(*data, epochs=4, verbose=0, validation_data=(X[:9], Y[:9]))
        weights = [np.asarray(w) for w in model.get_weights()]
        values = trainer.evaluate(*data, verbose=0)
        found.append((weights, trainer.predict(X), list(values.values())))
    for got, want in zip(*found, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)
