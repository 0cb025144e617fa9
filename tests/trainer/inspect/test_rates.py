"""The range test: rates grow, the right one is found, nothing is touched."""

import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Trainer, inspect
from trainer.inspect.rates import RateRange

X = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
Y = X @ np.ones((4, 1), "float32")


def test_gradient_descent_on_a_parabola():
    """Each loss in float64; the rate that is least good lies below the border of stability, 1."""
    made = Trainer(L.Dense(1, use_bias=False), loss="mse", optimizer=optimizers.SGD(0.5))
    made.prepare(X, Y).close()
    w = made.task.model.kernel.numpy().astype("float64")
    before = w.copy()
    found = inspect.learning_rate_range(made, X, Y, lowest=1e-4, highest=100, batch_size=256)
    for rate, loss in zip(found.rates[:30], found.losses, strict=False):
        error = X @ w - Y
        np.testing.assert_allclose(loss, np.mean(error**2), rtol=1e-3)
        w = w - rate * 2 * X.T @ error / len(X)
    assert 0.01 < found.suggestion < 1 and found.rates[-1] < 100
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e6) / 99, rtol=1e-6)
    np.testing.assert_array_equal(made.task.model.kernel, before.astype("float32"))
    assert float(made.task.optimizer.learning_rate) == 0.5 and made.step == 0


def test_smoothing_and_no_suggestion(tmp_path):
    rates = np.geomspace(1e-3, 1, 50)
    constant = RateRange(rates, np.full(50, 2.0))
    np.testing.assert_allclose(constant.smoothed, 2.0)
    assert constant.suggestion is None and "none" in repr(constant)
    constant.plot(tmp_path / "flat.png")
    falling = RateRange(rates, 2 - np.linspace(0, 1, 50))
    falling.plot(tmp_path / "a" / "rates.svg")
    assert falling.suggestion and (tmp_path / "a" / "rates.svg").stat().st_size > 1000


def test_what_cannot_be_done_is_refused():
    made = Trainer(L.Dense(1), loss="mse", optimizer=optimizers.SGD(lambda step: 0.1))
    with pytest.raises(ValueError, match="schedule"):
        inspect.learning_rate_range(made, X, Y, batch_size=64)
    with pytest.raises(ValueError, match="highest=1"):
        inspect.learning_rate_range(made, X, Y, lowest=2, highest=1)
    made = Trainer(L.Dense(1), loss="mse", optimizer="sgd")
    with pytest.raises(ValueError, match="no optimizer of that path"):
        inspect.learning_rate_range(made, X, Y, optimizer="other")
    assert tf.executing_eagerly()
