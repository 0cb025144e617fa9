"""Post-mortems and rewinds beyond a model on arrays: streams, parts, tasks, Keras, replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Task, Trainer
from trainer.inspect import NaNPostMortem, RewindOnSpike

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32") + 5.0
Y = X[:, :1]
SPOILT = X.copy()
SPOILT[45, 2] = 0.0  # a row of batch 5 of 8 rows, which step 6 takes


class Log(L.Layer):
    def call(self, x):
        return tf.math.log(x)


class KerasLog(keras.layers.Layer):
    def call(self, x):
        return tf.math.log(x)


class Two(Task):
    """Two losses and two optimizers, as a GAN has them; the second takes a logarithm."""

    def __init__(self):
        super().__init__()
        self.a, self.b = L.Dense(1), L.Sequential([Log(), L.Dense(1)])
        self.a_optimizer, self.b_optimizer = optimizers.Adam(1e-3), optimizers.SGD(1e-3)

    def step(self, batch, ctx):
        x, y = batch
        noise = 0.01 * tf.random.stateless_normal(tf.shape(y), ctx.seed())

        def a_loss(part):
            return tf.square(self.a(part[0]) - part[1])[:, 0]

        def b_loss(part):
            return tf.square(self.b(part[0]) - self.a(part[0]))[:, 0]

        batch = x, y + noise
        a = ctx.minimize(a_loss, batch, self.a_optimizer, self.a.trainable_variables)
        b = ctx.minimize(b_loss, batch, self.b_optimizer, self.b.trainable_variables)
        return {"a_loss": a, "b_loss": b}


def ours(jit, **how):
    model = L.Sequential([Log(), L.Dense(1)])
    return Trainer(model, loss="mse", optimizer=optimizers.SGD(1e-4), jit=jit, **how)


def of_keras(jit):
    model = keras.Sequential([keras.Input((4,)), KerasLog(name="log"), keras.layers.Dense(1)])
    return Trainer(model, loss="mse", optimizer=keras.optimizers.SGD(1e-4), jit=jit)


def replicas():
    devices = ["CPU:0", "CPU:1"]
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())


def arrays(x):
    return {"x": x, "y": Y, "batch_size": 8, "shuffle": False}


def stream(x):
    return {"x": tf.data.Dataset.from_tensor_slices((x, Y)).batch(8)}


# What trains, on which data, and where the logarithm is.
KINDS = {
    "stream": (ours, stream, "model/layers/0"),
    "parts": (
        lambda jit: ours(jit, accumulate=2),
        lambda x: {**arrays(x), "batch_size": 4},
        "model/layers/0",
    ),
    "task": (lambda jit: Trainer(Two(), jit=jit), stream, "b/layers/0"),
    "keras": (of_keras, arrays, "model/log"),
    "replicas": (lambda jit: ours(jit, strategy=replicas()), arrays, "model/layers/0"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jit", [False, "loop"])
def test_the_step_and_the_layer_are_found_and_the_state_goes_back(kind, jit):
    make, data, layer = KINDS[kind]
    if kind == "replicas" and jit:  # XLA compiles what lies between their exchanges
        jit = "step"
    made, plain, post = make(jit), make(jit), NaNPostMortem(None, verbose=0)
    made.fit(**data(SPOILT), epochs=3, callbacks=[post], verbose=0)
    found = post.found
    assert found.step == 6 and found.data == [] and found.notes == [], str(found)
    first = found.births[0]
    assert (first.op, first.layer, first.phase) == ("Log", layer, "forward")
    assert "test_post_mortem_kinds.py" in first.line and "in call" in first.line
    plain.fit(**data(X), steps=5, verbose=0)
    for a, b in zip(made.task.variables, plain.task.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), a.name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rewind_leaves_the_state_before_the_spike(kind):
    """The run ends with the call that spiked, so that nothing follows the rewind."""
    make, data, _ = KINDS[kind]
    made, plain = make(False), make(False)
    name = "b_loss" if kind == "task" else "loss"
    rewind = RewindOnSpike(name, every=4, margin=0, patience=1)
    made.fit(**data(SPOILT), steps=8, callbacks=[rewind], verbose=0)
    assert [(r.spike, r.back_to, r.goes_on) for r in rewind.rewinds] == [(6, 4, 9)]
    plain.fit(**data(X), steps=4, verbose=0)
    for a, b in zip(made.task.variables, plain.task.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), a.name)
