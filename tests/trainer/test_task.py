"""Task: what a task of one's own may leave out, and what it is told when it does."""

import numpy as np
import pytest
import tensorflow as tf

from trainer import Metric, Sums, Task, Trainer


class Lazy(tf.Module):
    """Makes its variable on first call, and counts calls in another."""

    def __init__(self):
        super().__init__()
        self.w = None
        self.calls = tf.Variable(0.0, trainable=False)

    def __call__(self, x):
        if self.w is None:
            self.w = tf.Variable(tf.ones([x.shape[-1], 2]), name="w")
        self.calls.assign_add(1.0)
        return x @ self.w


class Fit(Task):
    def __init__(self, optimizer):
        super().__init__()
        self.model, self.optimizer = Lazy(), optimizer

    def step(self, batch, ctx):
        def loss_fn(part):
            return tf.reduce_mean(tf.square(self.model(part["x"]) - part["y"]), -1)

        variables = [self.model.w] if self.model.w is not None else []
        return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, variables)}


def test_lazy_models_are_built_without_a_trace_of_it(sgd, data):
    """Building runs the step, but every variable starts from its initial value."""
    task = Fit(sgd())
    x, y = data
    Trainer(task).fit({"x": x, "y": y}, batch_size=8, steps=1, verbose=0, shuffle=False)
    assert float(task.model.calls) == 1.0
    w = np.ones((3, 2))
    w -= 0.1 * 2 * x[:8].T @ (x[:8] @ w - y[:8]) / 16
    np.testing.assert_allclose(task.model.w, w, rtol=1e-5)


def test_what_is_missing_is_named(sgd, data):
    x, y = data
    trainer = Trainer(Fit(sgd()))
    with pytest.raises(NotImplementedError, match="Fit defines no eval_step"):
        trainer.evaluate({"x": x, "y": y}, verbose=0)
    with pytest.raises(NotImplementedError, match="Fit defines no predict_step"):
        trainer.predict(x)
    with pytest.raises(NotImplementedError, match=r"must define step"):
        Trainer(Task()).fit(x, verbose=0)


class Largest(Metric):
    """Sums that are no pair: how often each column is the largest; reports the first's share."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return tf.reduce_sum(tf.one_hot(tf.argmax(y_pred, -1), 2), 0)

    def result(self, sums):
        return float(sums[0] / np.sum(sums))


def test_other_sums_are_carried(sgd, data, linear):
    x, _y = data

    class Counting(Task):
        def __init__(self):
            super().__init__()
            self.model = linear()
            self.metrics = {"first": Largest("first")}

        def step(self, batch, ctx):
            y_pred = self.model(batch)
            return {"size": Sums.of(y_pred), "first": self.metrics["first"](None, y_pred)}

    task = Counting()
    history = Trainer(task).fit(x, batch_size=8, verbose=0)
    expected = np.mean(np.argmax(task.model(x), -1) == 0)
    np.testing.assert_allclose(history.history["first"], [expected], rtol=1e-6)
    np.testing.assert_allclose(history.history["size"], [np.mean(task.model(x))], rtol=1e-4)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (tf.reduce_mean, "dict of name -> Sums"),
        (lambda x: {"loss": tf.reduce_mean(x)}, "Sums.of"),
        (lambda x: None, "dict of name -> Sums"),
    ],
)
def test_wrong_returns_are_refused(returned, words, data):
    class Wrong(Task):
        def step(self, batch, ctx):
            return returned(batch)

    with pytest.raises(TypeError, match=words):
        Trainer(Wrong()).fit(data[0], verbose=0)


@pytest.mark.parametrize(
    "values",
    [
        lambda x: 1.0 if tf.reduce_mean(x) > 1e9 else 2.0,
        lambda x: [row for row in x],
        lambda x: float(tf.reduce_mean(x)),
        lambda x: np.mean(x) + 1,
        lambda x: x.numpy(),
    ],
    ids=["if", "for", "float", "numpy", ".numpy()"],
)
def test_a_step_that_asks_for_values_is_told_where(values, data):
    class Asks(Task):
        def step(self, batch, ctx):
            values(batch)
            return {"loss": Sums.of(batch)}

        predict_step = step

    with pytest.raises(TypeError, match=r"test_task\.py:\d+ in <.*> uses a tensor.*tf\.cond"):
        Trainer(Asks(), jit=False).fit(data[0], verbose=0)


def test_other_errors_of_a_step_stay_what_they_are(data):
    class Broken(Task):
        def step(self, batch, ctx):
            return self.nothing

    with pytest.raises(AttributeError, match="'Broken' object has no attribute 'nothing'"):
        Trainer(Broken()).fit(data[0], verbose=0)


def test_a_forgotten_super_is_told():
    class Forgetful(Task):
        def __init__(self):
            self.model = None

    with pytest.raises(TypeError, match=r"Forgetful\.__init__.*super\(\)\.__init__\(\)"):
        Trainer(Forgetful())
