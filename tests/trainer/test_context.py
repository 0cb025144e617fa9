"""What a step is handed, in a task of one's own."""

import numpy as np
import pytest
import tensorflow as tf

from trainer import Sums, Task, Trainer
from trainer.context import BuildContext, StepContext
from trainer.random import Seeds


def _errors(model, part):
    return tf.reduce_mean(tf.square(model(part["x"]) - part["y"]), -1)


@pytest.fixture
def batch(data):
    return {"x": data[0][:8], "y": data[1][:8]}


def test_minimize_updates_and_reports(linear, sgd, batch, run):
    model, twin = linear(), linear()
    ctx = StepContext(Seeds(0, 0), gradient_norm=True)
    loss = run(
        lambda b: ctx.minimize(lambda p: _errors(model, p), b, sgd(), [model.w, model.b]), batch
    )
    with tf.GradientTape() as tape:
        expected = tf.reduce_mean(_errors(twin, batch))
    gradients = tape.gradient(expected, [twin.w, twin.b])
    sgd().apply(gradients, [twin.w, twin.b])
    np.testing.assert_allclose(loss.value, expected, rtol=1e-6)
    np.testing.assert_allclose(model.w, twin.w, rtol=1e-6)
    assert list(ctx.scalars) == ["gradient_norm"]


def test_extras_come_back_beside_the_loss(linear, sgd, batch):
    model = linear()
    loss, extras = StepContext(Seeds(0, 0)).minimize(
        lambda p: (_errors(model, p), {"mean": Sums.of(model(p["x"]))}),
        tf.nest.map_structure(tf.convert_to_tensor, batch),
        sgd(),
        [model.w],
    )
    assert float(loss.count) == 8
    assert float(extras["mean"].count) == 16


def test_building_changes_nothing(linear, sgd, batch):
    model = linear()
    before = model.w.numpy()
    BuildContext(Seeds(0, 0)).minimize(lambda p: _errors(model, p), batch, sgd(), [model.w])
    np.testing.assert_array_equal(model.w, before)


class Pair(Task):
    """Two models, two optimizers, random numbers: what a GAN needs."""

    def __init__(self, linear, sgd):
        super().__init__()
        self.a, self.b = linear(seed=1), linear(seed=2)
        self.a_optimizer, self.b_optimizer = sgd(0.1), sgd(0.05)
        self.a_optimizer.learning_rate = tf.Variable(0.1)
        self.b_optimizer.learning_rate = tf.Variable(0.05)

    def step(self, batch, ctx):
        x, y = batch
        noise = tf.random.stateless_normal(tf.shape(x), ctx.seed())
        batch = {"x": x + 0.1 * noise, "y": y}
        return {
            "a_loss": ctx.minimize(
                lambda p: _errors(self.a, p), batch, self.a_optimizer, [self.a.w, self.a.b]
            ),
            "b_loss": ctx.minimize(
                lambda p: _errors(self.b, p) + _errors(self.a, p),
                batch,
                self.b_optimizer,
                [self.b.w],
            ),
        }


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_several_optimizers_and_random_numbers(linear, sgd, data, jit):
    """Every draw is a function of (seed, step): two runs give the same bits, other seeds others."""

    def train(seed, cuts=(21,)):
        task = Pair(linear, sgd)
        trainer = Trainer(task, jit=jit, seed=seed)
        for steps in cuts:
            history = trainer.fit(*data, batch_size=8, steps=steps, verbose=0)
        return task, history

    (one, history), (two, _), (other, _) = train(3), train(3, cuts=(4, 14, 21)), train(4)
    np.testing.assert_array_equal(one.a.w, two.a.w)
    np.testing.assert_array_equal(one.b.w, two.b.w)
    assert not np.array_equal(one.a.w, other.a.w)
    assert set(history.steps) >= {"a_loss", "b_loss", "a_optimizer/learning_rate"}
    assert history.steps["a_loss"][-1] < 0.5 * history.steps["a_loss"][0]
