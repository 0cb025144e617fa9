"""One small model, and a run of it whose instruments and weights are kept."""

import numpy as np
import pytest

import layers
import optimizers
from trainer import Callback, Every, Trainer


class Read(Callback):
    """Declares instruments and keeps what they read."""

    def __init__(self, *instruments, when=None):
        self.declared, self.when = instruments, when or Every(epochs=1)
        self.read = {}

    @property
    def instruments(self):
        return self.declared

    def __call__(self, report):
        for instrument, (steps, values) in report.readings.items():
            for i, step in enumerate(steps.tolist()):
                self.read.setdefault(instrument, {})[step] = {n: v[i] for n, v in values.items()}


@pytest.fixture
def read():
    return Read


@pytest.fixture
def run(data):
    """`run(callbacks, jit=..., ...)`: 3 epochs of 7 steps; gives trainer and history."""

    def go(callbacks, jit=False, optimizer=None, fit=None, **options):
        trainer = Trainer(
            layers.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(2)]),
            loss="mse",
            optimizer=optimizer or optimizers.Adam(0.05),
            jit=jit,
            **options,
        )
        fit = {"batch_size": 8, "epochs": 3, "verbose": 0, **(fit or {})}
        return trainer, trainer.fit(*data, callbacks=callbacks, **fit)

    return go


@pytest.fixture
def same_weights():
    """`same_weights(a, b)`: asserts that two trainers' models are equal bit for bit."""

    def check(one, other):
        pairs = zip(one.task.model.get_weights(), other.task.model.get_weights(), strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)

    return check
