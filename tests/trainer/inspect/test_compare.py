"""Two runs in step: the same, and where a planted difference parts them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Task, Trainer, inspect, state
from trainer.inspect.compare import Comparison

RNG = np.random.default_rng(0)
X = RNG.normal(size=(61, 6)).astype("float32")
Y = RNG.integers(0, 3, 61)
K = keras.layers


def ours(rate=0.01, units=5, momentum=0.99, loss="sparse_categorical_crossentropy", **how):
    model = L.Sequential(
        [
            L.Dense(units, use_bias=False),
            L.BatchNormalization(momentum=momentum),
            L.Dense(3, "softmax"),
        ]
    )
    return Trainer(model, loss=loss, optimizer=optimizers.Adam(rate), **{"jit": False, **how})


def theirs(momentum=0.99):
    body = [
        K.Dense(5, use_bias=False),
        K.BatchNormalization(momentum=momentum),
        K.Dense(3, "softmax"),
    ]
    model = keras.Sequential([keras.Input((6,)), *body])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def test_ours_and_keras_fit_in_step_and_both_are_put_back():
    a, b = ours(), theirs()
    before = [w.copy() for w in b.get_weights()]
    found = inspect.compare(a, b, X, Y, steps=12, batch_size=8)
    assert found.parting is None, repr(found)
    assert found.losses.shape == (12, 2) and found.differences.shape == (13, 7)
    assert "in step for 12 steps" in repr(found) and found.variables[0] == "layers/0/kernel"
    for w, v in zip(before, b.get_weights(), strict=True):
        np.testing.assert_array_equal(w, v)
    assert int(b.optimizer.iterations) == 0 and a.step == 0


def test_statistics_that_move_otherwise_are_named():
    found = inspect.compare(ours(momentum=0.9), theirs(), X, Y, steps=3, batch_size=8)
    assert found.parting.step == 1 and "moving" in found.parting.variable


def test_another_rate_parts_them_at_the_first_update(tmp_path):
    found = inspect.compare(ours(), ours(0.02), X, Y, steps=4, batch_size=8)
    assert found.parting.step == 1 and found.losses[0, 0] == pytest.approx(found.losses[0, 1])
    assert repr(found).startswith("they part at step 1, in ")
    found.plot(tmp_path / "parting.png")
    assert (tmp_path / "parting.png").stat().st_size > 1000


def test_one_batch_is_its_parts_and_runs_that_start_apart_are_told():
    a, b = ours(seed=1), ours(seed=2)
    found = inspect.compare(a, b, X, Y, steps=2, copy_weights=False)
    assert found.parting.step == 0 and "before the first step" in repr(found)

    def plain(**how):
        return Trainer(L.Dense(2), loss="mse", optimizer=optimizers.SGD(0.1), jit=False, **how)

    assert inspect.compare(plain(), plain(accumulate=4), X, X[:, :2], steps=6).parting is None
    assert state.variables(a.task)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"number 0 is layers/0/kernel \[6, 5\] in the first"):
        inspect.compare(ours(), ours(units=4), X, Y, steps=1)
    with pytest.raises(TypeError, match=r"after model\.compile"):
        inspect.compare(ours(), keras.Sequential([K.Dense(1)]), X, Y)
    with pytest.raises(ValueError, match="steps=0; it must be a whole number from 1 on"):
        inspect.compare(ours(), ours(), X, Y, steps=0)


def test_a_task_without_a_value_called_loss():
    """Two optimizers and two losses of other names: each variable is held against its twin."""

    class Two(Task):
        def __init__(self, rate):
            super().__init__()
            self.a, self.b = L.Dense(1), L.Dense(1)
            self.optimizers = [optimizers.SGD(0.1), optimizers.SGD(rate)]

        def step(self, batch, ctx):
            found = {}
            for name, model, optimizer in zip("ab", (self.a, self.b), self.optimizers, strict=True):

                def loss_fn(x, model=model):
                    return tf.square(model(x) - 1.0)[:, 0]

                own = model.trainable_variables
                found[f"{name}_error"] = ctx.minimize(loss_fn, batch, optimizer, own)
            return found

    found = inspect.compare(Trainer(Two(0.1)), Trainer(Two(0.2)), X, steps=3, batch_size=8)
    assert found.parting.step == 1 and found.parting.variable.startswith("b/")
    np.testing.assert_allclose(found.losses[:, 0], found.losses[:, 1])  # of a_error


def test_nan_in_one_alone_parts_them():
    rows = np.zeros((3, 2))
    same = Comparison(["a", "b"], np.array([[1, 1], [np.nan, np.nan]]), rows, 1e-6)
    assert same.parting is None
    apart = Comparison(["a", "b"], np.array([[1, 1], [1, np.nan]]), rows, 1e-6)
    assert apart.parting == (2, "loss", np.inf)
    rows[1] = 1e-3, 1e-2
    assert Comparison(["a", "b"], np.ones((2, 2)), rows, 1e-6).parting[:2] == (1, "b")
