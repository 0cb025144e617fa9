"""Gradients that travel in bfloat16: an update is within the stated error, and training arrives."""

import numpy as np
import pytest

import layers
import losses
import optimizers
from trainer import Replication, Trainer

UNITS, FEATURES, BATCH = 64, 40, 16  # 2,560 weights, which travel; 64 biases, which do not
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, FEATURES)).astype("float32")
Y = (X @ RNG.normal(size=(FEATURES, UNITS)) + 1.0).astype("float32")


def trainer_of(strategy):
    model = layers.Dense(UNITS, kernel_initializer="zeros")
    return Trainer(
        model,
        loss=losses.MeanSquaredError(),
        optimizer=optimizers.SGD(1.0),
        strategy=strategy and Replication(strategy, gradients="bfloat16"),
        jit=False,
    )


@pytest.mark.parametrize("count", [2, 4])
def test_an_update_is_within_the_stated_error_and_training_arrives(count, mirrored):
    """The first update is the mean gradient of weights that are 0: -2/(b k) x^T y, by replica."""
    alone, light = trainer_of(None), trainer_of(mirrored(count))
    light.fit(X, Y, batch_size=BATCH, steps=1, shuffle=False, verbose=0)
    kernel, bias = (v.numpy() for v in light.task.model.trainable_variables)
    rows = zip(np.split(np.float64(X), count), np.split(np.float64(Y), count), strict=True)
    each = np.stack([2 / (BATCH * UNITS) * x.T @ y for x, y in rows])  # [n, features, units]
    stated = count / 256 * np.abs(each).sum(0)
    error = np.abs(kernel - each.sum(0))
    assert (error <= stated).all()
    assert error.max() > 1e-5  # it is bfloat16 that travelled
    np.testing.assert_allclose(bias, 2 / UNITS * Y.mean(0), rtol=1e-5)
    ends = [
        trainer.fit(X, Y, batch_size=BATCH, steps=200, shuffle=False, verbose=0).steps["loss"]
        for trainer in (light, alone)
    ]
    assert ends[1][-1] < 0.5 * ends[1][0]
    np.testing.assert_allclose(ends[0][-1], ends[1][-1], rtol=0.01)
