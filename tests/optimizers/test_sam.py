"""SAM against the formula, plain and compiled, and through the trainer's `minimize`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers
from trainer import Sums, Task, Trainer


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("jit", [False, True])
def test_a_loop_of_ones_own(jit, adaptive):
    a = np.diag([1.0, 4.0, 9.0])
    w = tf.Variable([1.0, -2.0, 0.5])
    optimizer = optimizers.SAM(optimizers.SGD(0.05, 0.9), 0.1, adaptive=adaptive)
    optimizer.build([w])

    @tf.function(jit_compile=jit)
    def step():
        for take in (optimizer.perturb, optimizer.apply):
            with tf.GradientTape() as tape:
                loss = 0.5 * tf.tensordot(w, tf.linalg.matvec(tf.constant(a, tf.float32), w), 1)
            take([tape.gradient(loss, w)], [w])

    x, velocity = np.array([1.0, -2.0, 0.5]), 0.0
    for _ in range(10):
        step()
        g = a @ x
        scale = np.abs(x) if adaptive else 1.0
        away = x + 0.1 * scale**2 * g / np.linalg.norm(scale * g)
        velocity = 0.9 * velocity - 0.05 * a @ away
        x = x + velocity
        np.testing.assert_allclose(w, x, rtol=2e-5)


class Fit(Task):
    """A linear model with noise in its step, and what the loss saw."""

    build_rows = 1

    def __init__(self, optimizer):
        super().__init__()
        self.w = tf.Variable([[0.5], [-1.0]], name="w")
        self.optimizer = optimizer
        self.drawn = tf.Variable(tf.zeros([2, 2], tf.int32), trainable=False)

    def step(self, batch, ctx):
        def loss_fn(part):
            seed = ctx.seed()
            self.drawn.assign(tf.stack([self.drawn[1], seed]))
            noise = tf.random.stateless_normal(tf.shape(part["x"]), seed) * 0.1
            errors = tf.square((part["x"] + noise) @ self.w - part["y"])[:, 0]
            return errors, {"first": Sums.of(self.w[0, 0] * tf.ones([1]))}

        loss, extras = ctx.minimize(loss_fn, batch, self.optimizer, [self.w])
        return {"loss": loss, **extras}


@pytest.mark.parametrize("wrap", [lambda sam: sam, lambda sam: optimizers.EMA(sam, 0.5)])
@pytest.mark.parametrize(("accumulate", "jit"), [(1, False), (4, False), (1, "loop")])
def test_minimize_takes_both_gradients(accumulate, jit, wrap, rng):
    x, y = np.float32(rng.normal(size=(8, 2))), np.float32(rng.normal(size=(8, 1)))
    task = Fit(wrap(optimizers.SAM(optimizers.SGD(0.1), 0.2)))
    trainer = Trainer(task, accumulate=accumulate, jit=jit, seed=3)
    history = trainer.fit({"x": x, "y": y}, batch_size=8 // accumulate, epochs=1, verbose=0)
    first, second = task.drawn.numpy()
    if accumulate == 1:  # the same noise at both places
        np.testing.assert_array_equal(first, second)
    # What is reported is of the weights as they were, not of where the gradient was taken.
    np.testing.assert_allclose(history.steps["first"], [0.5], rtol=1e-6)
    assert (task.w.numpy() != [[0.5], [-1.0]]).all()


def test_accumulated_parts_are_one_batch(rng):
    x, y = np.float32(rng.normal(size=(8, 2))), np.float32(rng.normal(size=(8, 1)))
    results = []
    for accumulate in (1, 4):
        task = Fit(optimizers.SAM(optimizers.SGD(0.1), 0.2))
        task.step = lambda batch, ctx, task=task: {
            "loss": ctx.minimize(
                lambda part: tf.square(part["x"] @ task.w - part["y"])[:, 0],
                batch,
                task.optimizer,
                [task.w],
            )
        }
        trainer = Trainer(task, accumulate=accumulate, jit=False)
        trainer.fit({"x": x, "y": y}, batch_size=8 // accumulate, epochs=2, verbose=0)
        results.append(task.w.numpy())
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_a_missing_first_gradient_is_told():
    optimizer = optimizers.SAM(optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="needs two gradients"):
        optimizer.apply([tf.ones([1])], [tf.Variable([1.0])])
    with pytest.raises(ValueError, match="rho=-1 must be at least 0"):
        optimizers.SAM(optimizers.SGD(), -1)


def test_no_gradient_no_step_away():
    w = tf.Variable([1.0])
    optimizer = optimizers.SAM(optimizers.SGD(0.1))
    optimizer.perturb([tf.zeros([1])], [w])
    np.testing.assert_array_equal(w, [1.0])


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("bad", [(np.nan, np.nan), (1.0, np.inf), (np.inf, np.nan)])
def test_around_what_skips_it_comes_back(bad, jit):
    w = tf.Variable([1.0, -2.0])
    optimizer = optimizers.SAM(optimizers.SkipNotFinite(optimizers.SGD(0.1)), 0.5)
    optimizer.build([w])

    @tf.function(jit_compile=jit)
    def step(first, second):
        optimizer.perturb([tf.fill([2], first)], [w])
        optimizer.apply([tf.fill([2], second)], [w])

    step(*map(tf.constant, bad))
    np.testing.assert_array_equal(w, [1.0, -2.0])
    step(tf.constant(1.0), tf.constant(1.0))
    np.testing.assert_allclose(w, [0.9, -2.1], rtol=1e-6)


@pytest.mark.parametrize(
    "wrap",
    [
        optimizers.SkipNotFinite,
        optimizers.Lookahead,
        optimizers.SAM,
        lambda inner: optimizers.Accumulate(inner, 2),
        lambda inner: optimizers.Transform(inner, optimizers.AdaptiveClip()),
    ],
)
def test_what_would_see_the_weights_away_is_refused(wrap):
    """It would skip, or take for its own, weights that are not those of the model."""
    sam = optimizers.SAM(optimizers.SGD(0.1))
    for inner in (sam, optimizers.EMA(sam)):
        with pytest.raises(TypeError, match=r"takes two gradients.*put SAM around"):
            wrap(inner)
