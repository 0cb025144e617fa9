"""Batch sizes and the noise of gradients, against per-example gradients in float64."""

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from trainer import Trainer, inspect
from trainer.compiling import record
from trainer.inspect.batches import BatchRange, GradientNoise

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 3)).astype("float32")
Y = (X @ np.ones((3, 1)) + RNG.normal(size=(64, 1))).astype("float32")


def trainer():
    made = Trainer(L.Dense(1, use_bias=False), loss="mse", optimizer="sgd", jit=False)
    made.prepare(X, Y).close()
    return made


@pytest.mark.parametrize("b", [1, 8])
def test_noise_is_that_of_single_examples(b):
    """With batches of one both parts are the unbiased sample estimates, exactly."""
    made = trainer()
    w = made.task.model.kernel.numpy().astype("float64")
    each = 2 * (X @ w - Y) * X.astype("float64")  # [n, 3]
    found = inspect.gradient_noise(made, X, Y, batch_size=b, batches=64 // b)
    scatter = np.trace(np.cov(each.T))
    square = np.sum(each.mean(0) ** 2) - scatter / 64
    if b == 1:
        np.testing.assert_allclose(found.scatter, scatter, rtol=1e-4)
        np.testing.assert_allclose(found.gradient, square, rtol=1e-4)
        np.testing.assert_allclose(found.scale, scatter / square, rtol=1e-3)
    else:  # the same, estimated from eight means
        assert 0.3 < found.scatter / scatter < 3
    assert list(found.by_variable) == ["model/kernel"]


def test_a_gradient_lost_in_noise_is_infinite_and_too_few_batches_are_refused(tmp_path):
    found = GradientNoise(5.0, {"a": 3.0, "b": float("inf")}, 1.0, 5.0)
    found.plot(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size > 1000
    made = trainer()
    predicted = X @ made.task.model.kernel.numpy()
    both = np.concatenate([predicted + 1.0, predicted - 1.0])  # gradients that cancel, row by row
    lost = inspect.gradient_noise(made, np.concatenate([X, X]), both, batch_size=8)
    assert lost.gradient < 0 < lost.scatter and lost.scale == float("inf")
    assert lost.by_variable == {"model/kernel": float("inf")}
    with pytest.raises(ValueError, match="two or more"):
        inspect.gradient_noise(trainer(), X, Y, batch_size=64)


def test_speeds_of_sizes(tmp_path):
    made = trainer()
    before = made.task.model.kernel.numpy()
    found = inspect.batch_size_range(made, X, Y, smallest=16, largest=1024, seconds=0.05)
    assert found.sizes == [16, 32, 64] and min(found.examples_per_second) > 0
    assert found.suggestion in found.sizes and found.failed is None
    np.testing.assert_array_equal(made.task.model.kernel, before)
    found.plot(tmp_path / "sizes.png")
    with pytest.raises(ValueError, match="smallest=128"):
        inspect.batch_size_range(made, X, Y, smallest=128)


class Roomy(L.Layer):
    """Has room for 32 rows."""

    def build(self, shape):
        self.w = self.add_weight("w", (shape[-1], 1))

    def call(self, x, training=False):
        return tf.ensure_shape(tf.numpy_function(self.hold, [x], tf.float32), x.shape) @ self.w

    @staticmethod
    def hold(x):
        if len(x) > 32:
            raise MemoryError("no room")
        return x


def test_the_size_that_does_not_fit_is_told(monkeypatch):
    """It is not halved behind the scenes, and nothing is recorded of it for the user's runs."""
    recorded = []
    monkeypatch.setattr(record, "remember_parts", lambda *given: recorded.append(given))
    made = Trainer(L.Sequential([Roomy()]), loss="mse", optimizer="sgd", jit=False)
    made.prepare(X, Y).close()
    found = inspect.batch_size_range(made, X, Y, smallest=16, seconds=0.02)
    assert (found.sizes, found.failed) == ([16, 32], 64)
    assert recorded == []
    assert made.programs.divides


def test_the_smallest_that_is_nearly_as_fast():
    assert BatchRange([8, 16, 32], [50.0, 95.0, 100.0], None).suggestion == 16
