"""Schedule-Free against Keras and the paper's algorithm, and its weights for evaluation."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

import optimizers


def averaged(old):
    """Keras's rule: the average weighs every step alike. `old(s)` is the z that x is read with."""

    def rule(t, y, g, s):
        lr = 0.01 * min(t / 10, 1.0)
        s["old"] = s.get("z", y)
        s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
        s["z"] = s["old"] - lr * g / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)
        x = (y - 0.1 * old(s)) / 0.9
        return 0.1 * s["z"] + 0.9 * ((1 - 1 / t) * x + s["z"] / t)

    return rule


CONFIG = {"learning_rate": 0.01, "warmup_steps": 10}


def test_keras_s_average(equals_numpy):
    equals_numpy(lambda: optimizers.ScheduleFreeAdamW(**CONFIG), averaged(lambda s: s["old"]), 2e-5)


def test_keras_itself_reads_the_average_with_the_new_z(problem, train_keras, close):
    """A fault: its `momentum_old` is the variable, which has been moved when it is read."""
    got = train_keras(keras.optimizers.ScheduleFreeAdamW(**CONFIG), steps=40)
    rule, state, weight = averaged(lambda s: s["z"]), {}, np.float64(problem["weights"]["kernel"])
    for t in range(1, 41):
        weight = rule(t, weight, np.float64(problem["grads"]["kernel"][t - 1]), state)
    close(got, {"kernel": weight}, 2e-5)


def test_the_papers_average_and_decay(equals_numpy):
    """Algorithm 1: steps weigh as their squared rates, z is decayed at y."""

    def rule(t, y, g, s):
        lr = 0.05 * min(t / 10, 1.0)
        z, x = s.get("z", y), s.get("x", y)
        s["v"] = 0.99 * s.get("v", 0) + 0.01 * g**2
        s["sum"] = s.get("sum", 0) + lr**2
        c = lr**2 / s["sum"]
        s["z"] = z - lr * (g / (np.sqrt(s["v"] / (1 - 0.99**t)) + 1e-8) + 0.1 * y)
        s["x"] = (1 - c) * x + c * s["z"]
        return 0.1 * s["z"] + 0.9 * s["x"]

    def make():
        return optimizers.ScheduleFreeAdamW(
            0.05, beta_2=0.99, warmup_steps=10, weight_decay=0.1, paper=True
        )

    equals_numpy(make, rule, rtol=1e-5)


def test_it_is_evaluated_at_the_average_of_z(rng):
    weight = tf.Variable([1.0, 2.0])
    optimizer = optimizers.ScheduleFreeAdamW(0.1)
    optimizer.build([weight])
    weight.assign([3.0, 4.0])  # loaded after the slots were made
    np.testing.assert_array_equal(optimizer.evaluation_values()[0], [3.0, 4.0])
    z = []
    for _ in range(5):
        optimizer.apply([tf.constant(rng.normal(size=2), tf.float32)], [weight])
        z.append(optimizer.slot("momentum", weight).numpy())
    before = weight.numpy()
    with optimizer.evaluating():
        np.testing.assert_allclose(weight, np.mean(z, 0), rtol=1e-5)
    np.testing.assert_array_equal(weight, before)
