"""Supervised: any model, called as it can be called, with its own state kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
from trainer import Trainer
from trainer.supervised import takes_training, unpack


def test_batches_are_unpacked():
    assert unpack("x") == ("x", None, None)
    assert unpack(("x",)) == ("x", None, None)
    assert unpack(("x", "y")) == ("x", "y", None)
    assert unpack(("x", "y", "w")) == ("x", "y", "w")
    with pytest.raises(ValueError, match="4 parts"):
        unpack((1, 2, 3, 4))


def test_models_are_told_whether_they_train_if_they_can_be(linear):
    assert takes_training(layers.Dense(2))
    assert takes_training(keras.layers.Dense(2))
    assert not takes_training(linear())
    assert takes_training(lambda x, training: x)
    assert not takes_training(lambda x: x)


class Nested(tf.Module):
    """A plain module that holds Keras layers with state, in a list."""

    def __init__(self):
        super().__init__()
        self.parts = [
            keras.layers.Dense(6),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(2),
        ]

    def __call__(self, x, training=False):
        for part in self.parts:
            x = part(x, training=training)
        return x


MODELS = {
    "module": None,
    "ours": lambda: layers.Sequential(
        [layers.Dense(6), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(2)]
    ),
    "keras unbuilt": lambda: keras.Sequential(
        [keras.layers.Dense(6), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    ),
    "keras functional": lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
    "keras in a module": Nested,
}


@pytest.mark.parametrize("kind", list(MODELS))
@pytest.mark.parametrize("jit", [False, "loop"])
def test_every_kind_of_model_learns(kind, jit, linear, data):
    x, y = data
    keras.utils.set_random_seed(0)
    model = linear() if kind == "module" else MODELS[kind]()
    trainer = Trainer(model, loss="mse", optimizer=keras.optimizers.Adam(0.05), jit=jit)
    first = trainer.fit(x, y, batch_size=8, epochs=1, verbose=0).history["loss"][0]
    trainer.fit(x, y, batch_size=8, epochs=15, verbose=0)
    assert trainer.evaluate(x, y, verbose=0)["loss"] < 0.5 * first
    assert trainer.predict(x).shape == (53, 2)


def test_state_follows_the_training_batches_only(data):
    """Moving statistics move in fit, by Keras's rule, and not in evaluate or predict."""
    x, y = data
    norm = keras.layers.BatchNormalization(momentum=0.5)
    model = keras.Sequential([norm, keras.layers.Dense(2)])
    trainer = Trainer(model, loss="mse", optimizer="sgd")
    trainer.fit(x, y, batch_size=53, steps=1, shuffle=False, verbose=0)
    np.testing.assert_allclose(norm.moving_mean, 0.5 * x.mean(0), rtol=1e-5)
    before = norm.moving_mean.numpy()
    trainer.evaluate(x, y, verbose=0)
    trainer.predict(x)
    np.testing.assert_array_equal(norm.moving_mean, before)


def test_tuples_of_inputs_are_one_argument(data):
    class Two(tf.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(2), layers.Dense(2)

        def __call__(self, inputs):
            return self.a(inputs[0]) + self.b(inputs[1])

    x, y = data
    trainer = Trainer(Two(), loss="mse", optimizer="adam")
    trainer.fit((x, x[:, :2]), y, verbose=0)
    assert trainer.predict((x, x[:, :2])).shape == (53, 2)


def test_frozen_parts_stay(data):
    x, y = data
    model = layers.Sequential([layers.Dense(4), layers.Dense(2)])
    trainer = Trainer(model, loss="mse", optimizer="sgd")
    trainer.fit(x, y, steps=1, verbose=0)
    first, second = (layer.get_weights()[0] for layer in model.layers)
    model.layers[0].trainable = False
    again = Trainer(model, loss="mse", optimizer="sgd")
    again.fit(x, y, steps=1, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], first)
    assert not np.array_equal(model.layers[1].get_weights()[0], second)


def test_nothing_to_train_is_refused(data):
    model = layers.Dense(2)
    model.trainable = False
    with pytest.raises(ValueError, match="no trainable variables"):
        Trainer(model, loss="mse", optimizer="sgd").fit(*data, verbose=0)


def test_a_missing_optimizer_is_named(data):
    trainer = Trainer(layers.Dense(2), loss="mse")
    assert trainer.evaluate(*data, verbose=0)["loss"] > 0
    with pytest.raises(ValueError, match="optimizer=None"):
        trainer.fit(*data, verbose=0)


def test_a_plain_sum_does_not_accumulate(data):
    loss = keras.losses.MeanSquaredError(reduction="sum")
    trainer = Trainer(layers.Dense(2), loss=loss, optimizer="sgd", accumulate=2)
    with pytest.raises(ValueError, match="reduction='sum'"):
        trainer.fit(*data, verbose=0)
