"""One side of a comparison: its losses and variables are those of plain training."""

import keras
import numpy as np
import pytest

import layers as L
import optimizers
from trainer import Trainer
from trainer.inspect.sides import side_of

X = np.random.default_rng(0).normal(size=(4, 8, 3)).astype("float32")
BATCHES = [(x, x[:, :1]) for x in X]


def make(kind):
    if kind == "ours":
        return Trainer(L.Dense(1), loss="mse", optimizer=optimizers.SGD(0.1), jit=False)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.parametrize("kind", ["ours", "keras"])
def test_gradient_descent_in_float64(kind):
    side, seen = side_of(make(kind)), []
    with side.trying(BATCHES):
        w, b = (v.astype("float64") for v in side.values())
        start = w.copy()
        side.run(BATCHES, lambda loss: seen.append((loss, side.values())))
        for (x, y), (loss, (kernel, bias)) in zip(BATCHES, seen, strict=True):
            error = x @ w + b - y
            w, b = w - 0.2 * x.T @ error / 8, b - 0.2 * error.mean(0)
            np.testing.assert_allclose(loss, np.mean(error**2), rtol=1e-5)
            np.testing.assert_allclose(kernel, w, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(bias, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(side.values()[0], start.astype("float32"))
    side.assign([start.astype("float32") * 2, np.ones(1, "float32")])
    np.testing.assert_array_equal(side.values()[1], [1.0])
