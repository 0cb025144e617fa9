"""One seed, one noise: a TensorFlow graph, an XLA step, one XLA loop and eager code draw alike."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Task, Trainer
from trainer.context import StepContext
from trainer.random import Seeds, handed

ROWS, STEP = 16, 8

# Few, since drawing takes XLA time to compile; tests/layers has every random layer in every mode.
# Masks, which must agree bit for bit; values are ones, so that what comes out is the mask.
MASKS = {
    "dropout": (lambda: L.Dropout(0.4), [6]),
    "same_rate": (lambda: L.Dropout(0.4), [6]),
    "own_seed": (lambda: L.Dropout(0.4, seed=3), [6]),
    "spatial": (lambda: L.SpatialDropout2D(0.4), [2, 3, 5]),
}
# What is computed from draws, which agrees up to rounding.
VALUES = {
    "noise": (lambda: L.GaussianNoise(0.4), [6]),
}
KINDS = {**MASKS, **VALUES}


class Noise(Task):
    """Trains next to nothing; keeps what its random layers and `ctx.seed` give each row."""

    def __init__(self):
        super().__init__()
        self.noisy = {name: make() for name, (make, _) in KINDS.items()}
        self.w = tf.Variable(1.0)
        self.optimizer = optimizers.SGD(0.1)
        # All in one table: writing is what takes XLA time to compile.
        width = 4 + sum(np.prod(shape) for _, shape in KINDS.values())
        self.seen = tf.Variable(tf.zeros([ROWS, width], tf.int32), trainable=False)

    def draw(self, part, ctx):
        """Fills in the rows of a part."""
        rows = part.shape[0]
        bits = tf.random.stateless_uniform(
            [rows, 4], ctx.seed(), minval=None, maxval=None, dtype=tf.uint32, alg="philox"
        )
        drawn = [bits]
        for name, layer in self.noisy.items():
            y = layer(tf.ones([rows, *KINDS[name][1]]), training=True)
            drawn.append(tf.reshape(y, [rows, -1]))
        table = tf.concat([tf.bitcast(values, tf.int32) for values in drawn], 1)
        self.seen.assign(tf.tensor_scatter_nd_update(self.seen, part[:, None], table))

    def step(self, batch, ctx):
        def loss_fn(part):
            self.draw(part, ctx)
            return self.w * tf.ones([part.shape[0]])

        return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, [self.w])}

    def values(self):
        """Name -> what was drawn, `[ROWS, ...]`."""
        table = self.seen.numpy().copy()
        found, at = {"bits": table[:, :4]}, 4
        for name, (_, shape) in KINDS.items():
            width = int(np.prod(shape))
            cut = np.ascontiguousarray(table[:, at : at + width])
            found[name] = cut.view(np.float32).reshape(ROWS, *shape)
            at += width
        return found


@functools.cache
def train(jit, parts, seed=5):
    """The task after an epoch in the order of the rows, and what it has seen."""
    trainer = Trainer(Noise(), jit=jit, accumulate=parts, seed=seed)
    rows = np.arange(ROWS, dtype=np.int32)
    trainer.fit(rows, batch_size=STEP // parts, shuffle=False, verbose=0)
    return trainer.task, trainer.task.values()


def eager(task, parts, seed=5):
    """What the same task draws in plain Python: noise is a function of (seed, step, part)."""
    rows = STEP // parts
    for step in range(ROWS // STEP):
        seeds = Seeds(seed, step)
        with handed(task.submodules, seeds.next):
            for part in range(parts):
                with seeds.part(part):
                    first = step * STEP + part * rows
                    task.draw(tf.range(first, first + rows), StepContext(seeds))
    return task.values()


def assert_same(got, want):
    for name in ("bits", *MASKS):
        np.testing.assert_array_equal(got[name], want[name], err_msg=name)
    for name in VALUES:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("parts", "modes"), [(1, ["step", "loop"]), (2, ["loop"])])
def test_every_mode_draws_what_plain_code_draws(parts, modes):
    task, graph = train(False, parts)
    for jit in modes:
        assert_same(train(jit, parts)[1], graph)
    assert_same(graph, eager(task, parts))


def test_what_must_differ_differs():
    """Seeds, steps, parts and layers; what a layer shares within an example stays shared."""
    _, one = train(False, 1)
    _, halved = train(False, 2)
    _, other = train(False, 1, seed=6)
    np.testing.assert_array_equal(np.unique(one["dropout"]), np.float32([0, 1 / 0.6]))
    for name in KINDS.keys() | {"bits"}:
        assert not np.array_equal(one[name], other[name]), name
        assert not np.array_equal(one[name][:8], one[name][8:]), name
        assert not np.array_equal(halved[name][:4], halved[name][4:8]), name
    for name in ("same_rate", "own_seed"):
        assert not np.array_equal(one["dropout"], one[name]), name
    assert len(np.unique(one["bits"])) == one["bits"].size
    assert (one["spatial"] == one["spatial"][:, :1, :1]).all()
