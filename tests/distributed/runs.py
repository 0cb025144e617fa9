"""What several tests train, and processes too."""

import keras
import numpy as np
import tensorflow as tf

import layers as L
import losses
import optimizers
from benchmarks.replicated.trainings import weights
from trainer import Replication, Trainer

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
    "ours": lambda: L.Sequential([L.Dense(8, activation="tanh"), L.Dense(3)]),
}


def stream():
    for first in range(0, 58, 16):
        yield X[first : first + 16], Y[first : first + 16]


def all_verbs(name, strategy):
    """Fits, evaluates and predicts: weights, values and predictions by name."""
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
    values = trainer.evaluate(*data, verbose=0)
    trained = {f"weight-{i}": np.asarray(w) for i, w in enumerate(model.get_weights())}
    return {**trained, **values, "predicted": trainer.predict(X)}


def dropped(strategy=None, parts=1, *, steps=20, jit=False, seeds="example", checkpoint=None):
    """A model with dropout and noise, batches of 8 in so many parts: weights by name."""
    x = np.random.default_rng(0).normal(size=(26, 6)).astype("float32")
    model = L.Sequential(
        [L.Dense(8), L.Dropout(0.4), L.GaussianNoise(0.1, seed=3), L.Dropout(0.2), L.Dense(2)]
    )
    trainer = Trainer(
        model,
        loss=losses.MeanSquaredError(),
        optimizer=optimizers.SGD(0.05),
        strategy=Replication(strategy, seeds=seeds),
        accumulate=parts,
        jit=jit,
        checkpoint=checkpoint,
    )
    trainer.fit(x, x[:, :2].copy(), batch_size=8 // parts, steps=steps, verbose=0)
    assert trainer.step == steps
    return weights(trainer)
