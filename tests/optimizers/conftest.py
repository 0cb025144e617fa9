"""Training on fixed gradients: dense, sparse and scalar variables, by ours and by Keras's."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

STEPS = 200
SHAPES = {"kernel": (7, 3), "bias": (3,), "table": (6, 2), "scale": ()}


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture(scope="session")
def problem():
    """Initial weights, and gradients of every step; the table's are rows, some of them twice."""
    rng = np.random.default_rng(3)
    weights = {name: np.float32(rng.normal(size=shape)) for name, shape in SHAPES.items()}
    weights["scale"] = np.float32(2.0)
    grads = {n: np.float32(rng.normal(size=(STEPS, *s))) for n, s in SHAPES.items() if n != "table"}
    rows = rng.integers(0, 5, (STEPS, 4)).astype(np.int32)  # row 5 never has a gradient
    values = np.float32(rng.normal(size=(STEPS, 4, 2)))
    table = np.zeros((STEPS, 6, 2), np.float32)
    for step in range(STEPS):
        np.add.at(table[step], rows[step], values[step])
    return {"weights": weights, "grads": grads, "rows": rows, "values": values, "table": table}


@pytest.fixture
def train(problem):
    """train(optimizer, jit): weights by name after 200 updates inside one compiled while loop.

    `drift` is added to every gradient but the table's.
    """

    def run(optimizer, jit=False, steps=STEPS, drift=0.0):
        weights = {n: tf.Variable(w, name=f"model/{n}") for n, w in problem["weights"].items()}
        grads = {n: tf.constant(g + np.float32(drift)) for n, g in problem["grads"].items()}
        rows, values = tf.constant(problem["rows"]), tf.constant(problem["values"])
        optimizer.build(weights.values())

        def body(i):
            step = {n: tf.gather(g, i) for n, g in grads.items()}
            step["table"] = tf.IndexedSlices(tf.gather(values, i), tf.gather(rows, i), (6, 2))
            optimizer.apply([step[n] for n in weights], list(weights.values()))
            return (i + 1,)

        @tf.function(jit_compile=jit)
        def loop(n):
            tf.while_loop(lambda i: i < n, body, (tf.constant(0),))

        loop(tf.constant(steps))
        assert int(optimizer.iterations) == steps
        return {n: w.numpy() for n, w in weights.items()}

    return run


@pytest.fixture
def train_keras(problem):
    """The same by a Keras optimizer, which is given the table's gradient dense."""

    def run(optimizer, steps=STEPS):
        weights = {n: keras.Variable(w, name=n) for n, w in problem["weights"].items()}
        optimizer.build(list(weights.values()))
        grads = {**problem["grads"], "table": problem["table"]}

        @tf.function
        def step(*values):
            optimizer.apply(list(values), list(weights.values()))

        for i in range(steps):
            step(*(tf.constant(grads[n][i]) for n in weights))
        return {n: w.numpy() for n, w in weights.items()}

    return run


@pytest.fixture
def close():
    """close(got, wanted, rtol): relative to the norm of each variable."""

    def check(got, wanted, rtol, label=""):
        for name, value in wanted.items():
            error = np.linalg.norm(got[name] - value) / np.linalg.norm(value)
            assert error <= rtol, f"{label} {name}: relative error {error:.2e} > {rtol:.0e}"

    return check


@pytest.fixture
def state(rng):
    """A gradient, a mean and a mean of squares, in float64."""
    g, m = rng.normal(size=(2, 5, 4))
    return g, m, rng.uniform(0.5, 2.0, (5, 4))


@pytest.fixture
def single():
    """single(*arrays): float32 tensors."""
    return lambda *arrays: [tf.constant(a, tf.float32) for a in arrays]


@pytest.fixture
def near():
    """near(tensors, *arrays): float32 results of a float64 formula."""

    def check(got, *wanted):
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7)

    return check


@pytest.fixture
def equals_numpy(train, problem, close):
    """equals_numpy(make, reference, rtol, steps): every update of a NumPy float64 rule, three ways.

    `reference(t, w, g, s)` is one update of one variable: t from 1, weights, gradient, and a dict
    that it keeps its state in; it returns the new weights. (Rules that look at all variables have
    tests of their own.)
    """

    def check(make, reference, rtol=2e-6, steps=40, modes=(False, True)):
        wanted = {}
        for name, weight in problem["weights"].items():
            weight, state = np.float64(weight), {}
            every = problem["table"] if name == "table" else problem["grads"][name]
            for t in range(1, steps + 1):
                weight = reference(t, weight, np.float64(every[t - 1]), state)
            wanted[name] = weight
        for jit in modes:
            optimizer = make()
            # Compiled, a plain graph moves them as `jit` does: see test_one_program.
            optimizer.fused = jit or not optimizer.compiles_up_to
            close(train(optimizer, jit, steps=steps), wanted, rtol, f"compiled={jit}")

    return check
