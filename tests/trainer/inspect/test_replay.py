"""A planned call, made again, gives the bits it gave."""

import numpy as np
import tensorflow as tf

import layers as L
import optimizers
from trainer import Callback, Trainer
from trainer.callbacks.triggers import EachCall
from trainer.inspect.replay import broken_columns, broken_variables

X = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")


class Again(Callback):
    """Makes every call twice and compares."""

    when = EachCall()

    def __init__(self):
        self.compared = 0

    def before_call(self, planned):
        self.planned, self.good = planned, planned.run.good_state()

    def __call__(self, report):
        planned = self.planned
        after = report.run.good_state()
        columns = planned.again(self.good, planned.n)
        loss = columns.sums["loss"].total / columns.sums["loss"].count
        np.testing.assert_array_equal(loss.astype("float32"), report.steps["loss"])
        for name, value in report.run.snapshot().items():
            np.testing.assert_array_equal(value, after.values[name])
        assert report.run.step == planned.step + planned.n
        assert planned.batch(0)[0].shape == (8, 4)
        self.compared += 1


def test_a_call_made_again_gives_the_same_bits():
    model = L.Sequential([L.Dense(4), L.Dropout(0.3), L.Dense(1)])
    trainer = Trainer(model, loss="mse", optimizer=optimizers.Adam(0.01), jit=False)
    again = Again()
    trainer.fit(X, X[:, :1], batch_size=8, epochs=3, verbose=0, callbacks=[again])
    assert again.compared >= 4 and trainer.step == 18


def test_what_is_broken():
    steps = {"step": [1, 2], "loss": np.array([1, np.inf]), "accuracy": np.array([np.nan, 1])}
    assert broken_columns(steps) == {"loss": 1}
    assert broken_columns({"step": [1], "reward": np.array([np.nan])}) == {"reward": 0}
    left_out = {"gradient_norm": np.array([np.inf, np.inf]), "skipped": np.array([1, 0])}
    assert broken_columns(left_out) == {"gradient_norm": 1}
    task = {"a": tf.Variable([1.0, np.nan]), "b": tf.Variable([1.0]), "n": tf.Variable([1])}
    assert broken_variables(task) == ["a"]
