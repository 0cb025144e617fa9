"""Six small trainings, each of which must come out the same however many replicas share it."""

import numpy as np
import tensorflow as tf

import layers as L
import losses
import optimizers
from trainer import Task, Trainer

ROWS = 58  # batches of 16 leave 10: uneven over 4 replicas


def _rng():
    return np.random.default_rng(3)


def _labels(features, classes=3):
    return (features @ _rng().normal(size=(features.shape[-1], classes))).argmax(-1)


def mlp(clip=0.5):
    x = _rng().normal(size=(ROWS, 8)).astype("float32")
    model = L.Sequential([L.Dense(8, activation="tanh"), L.Dense(3)])
    return model, optimizers.Adam(1e-2, global_clipnorm=clip), (x, _labels(x))


def cnn(clip=None, norm=lambda: L.BatchNormalization(synchronized=True)):
    x = _rng().normal(size=(ROWS, 6, 6, 1)).astype("float32")
    model = L.Sequential(
        [
            L.Conv2D(3, 3),
            norm(),
            L.Activation("relu"),
            L.Flatten(),
            L.Dense(3),
        ]
    )
    optimizer = optimizers.SGD(1e-2, momentum=0.9, global_clipnorm=clip)
    return model, optimizer, (x, _labels(x.reshape(ROWS, -1)))


def text(clip=None):
    x = _rng().integers(0, 12, size=(ROWS, 5))
    y = (x.sum(-1) % 3).astype("int64")
    model = L.Sequential([L.Embedding(12, 4), L.GlobalAveragePooling1D(), L.Dense(3)])
    weights = _rng().uniform(0.5, 2.0, size=ROWS).astype("float32")
    optimizer = optimizers.AdamW(1e-2, use_ema=True, global_clipnorm=clip)
    return model, optimizer, (x, y, weights)


def rnn(clip=None):
    x = _rng().normal(size=(ROWS, 4, 3)).astype("float32")
    model = L.Sequential([L.GRU(4), L.Dense(3)])
    return model, optimizers.RMSprop(1e-3, global_clipnorm=clip), (x, _labels(x[:, -1]))


class Block(L.Layer):
    """A small transformer block: `[b, t, d] -> [b, t, d]`."""

    def __init__(self):
        super().__init__()
        self.norm = L.LayerNormalization()
        self.attention = L.MultiHeadAttention(num_heads=2, key_dim=3)
        self.dense = L.Dense(6, activation="gelu")

    def call(self, x, training=False):
        y = self.norm(x)
        return self.dense(x + self.attention(y, y, training=training))


def attention(clip=None):
    x = _rng().normal(size=(ROWS, 4, 6)).astype("float32")
    model = L.Sequential([Block(), L.GlobalAveragePooling1D(), L.Dense(3)])
    # Keys' biases have gradients of 0 but for rounding, from which Adam would make whole steps.
    optimizer = optimizers.SGD(1e-2, momentum=0.9, global_clipnorm=clip)
    return model, optimizer, (x, _labels(x[:, 0]))


class Gan(Task):
    """Two optimizers, and noise that comes with the data."""

    def __init__(self, clip=None):
        super().__init__()
        self.g = L.Sequential([L.Dense(6, activation="tanh"), L.Dense(2)])
        self.d = L.Sequential([L.Dense(6, activation="tanh"), L.Dense(1)])
        self.g_optimizer = optimizers.SGD(1e-2, global_clipnorm=clip)
        self.d_optimizer = optimizers.SGD(1e-2, global_clipnorm=clip)

    def step(self, batch, ctx):
        def d_loss(b):
            real, fake = self.d(b["x"], training=True), self.d(self.g(b["z"]), training=True)
            return tf.nn.softplus(-real) + tf.nn.softplus(fake)

        def g_loss(b):
            return tf.nn.softplus(-self.d(self.g(b["z"], training=True), training=True))

        return {
            "d_loss": ctx.minimize(d_loss, batch, self.d_optimizer, self.d.trainable_variables),
            "g_loss": ctx.minimize(g_loss, batch, self.g_optimizer, self.g.trainable_variables),
        }


def gan(clip=None):
    rng = _rng()
    data = {
        "x": rng.normal(size=(ROWS, 2)).astype("float32"),
        "z": rng.normal(size=(ROWS, 3)).astype("float32"),
    }
    return Gan(clip), None, (data,)


WORKLOADS = {f.__name__: f for f in (mlp, cnn, text, rnn, attention, gan)}


def train(name, strategy=None, steps=100, how=None, rows=ROWS, **settings):
    """Trains a workload, made as `how` says; the trainer, its history and its weights by name."""
    model, optimizer, data = WORKLOADS[name](**(how or {}))
    if not isinstance(model, Task):
        loss = losses.SparseCategoricalCrossentropy(from_logits=True)
        settings = {"loss": loss, "optimizer": optimizer, "metrics": ["accuracy"], **settings}
    batch = settings.pop("batch_size", 16)
    trainer = Trainer(model, strategy=strategy, **{"jit": False, **settings})
    parts = settings.get("accumulate", 1)
    data = tf.nest.map_structure(lambda x: x[:rows], data)
    names = dict(zip(("x", "y", "sample_weight"), data, strict=False))
    history = trainer.fit(**names, batch_size=batch // parts, steps=steps, verbose=0)
    return trainer, history, weights(trainer)


def weights(trainer):
    """Path -> value of everything trained: weights, slots, averages, statistics."""
    from trainer import state

    return {path: v.numpy() for path, v in state.variables(trainer.task).items()}


def distance(a, b):
    """The largest difference between two sets of weights."""
    assert a.keys() == b.keys()
    return max(np.abs(a[k].astype("float64") - b[k]).max() for k in a)
