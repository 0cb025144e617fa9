"""Small models and data for the tests of the trainer."""

import signal

import numpy as np
import pytest
import tensorflow as tf

import layers
import optimizers
from trainer import Trainer


class Linear(tf.Module):
    """x @ w + b, built on construction."""

    def __init__(self, features=3, units=2, seed=0):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.w = tf.Variable(rng.normal(size=(features, units)).astype("float32"), name="w")
        self.b = tf.Variable(tf.zeros([units]), name="b")

    def __call__(self, x):
        return x @ self.w + self.b


class Sgd:
    """The smallest thing that is an optimizer: `apply(gradients, variables)`."""

    def __init__(self, rate=0.1):
        self.rate = rate

    def apply(self, gradients, variables):
        for gradient, variable in zip(gradients, variables, strict=True):
            if gradient is not None:
                variable.assign_sub(self.rate * gradient)


@pytest.fixture
def linear():
    return Linear


@pytest.fixture
def sgd():
    return Sgd


@pytest.fixture
def data():
    """53 rows: batches of 8 leave a ragged last one of 5."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(53, 3)).astype("float32")
    return x, (x @ rng.normal(size=(3, 2)) + 0.1).astype("float32")


@pytest.fixture
def fit(data):
    """Trains a dense layer with some callbacks; gives the trainer and the history."""

    def train(*callbacks, **options):
        trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizers.SGD(0.1), jit=False)
        options = {"batch_size": 8, "epochs": 3, "verbose": 0, **options}
        return trainer, trainer.fit(*data, callbacks=list(callbacks), **options)

    return train


@pytest.fixture
def ctrl_c():
    """Python's own handler of Ctrl-C, which a parallel test runner takes away from its workers."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Choices of compile mode that one test remembers must not reach another."""
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", str(tmp_path / "cache"))
