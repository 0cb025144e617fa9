"""Small jobs that are killed: each hard to continue exactly in a way of its own."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import tensorflow as tf

import layers
import losses
import optimizers
from trainer import EarlyStopping, Every, Sums, Task, TensorBoard, Trainer

ROWS, BATCH = 90, 16  # 6 steps an epoch, the last of 10 rows


def _settings():
    """What the environment asks for: how to compile, which kind of data."""
    jit = {"graph": False}.get(os.environ.get("JOB_JIT", "graph"), os.environ.get("JOB_JIT"))
    return jit, os.environ.get("JOB_DATA", "arrays")


def _fit(trainer, checkpoint, arrays, **options):
    """Trains twice, by epochs and on to a step, on arrays or on a shuffled tf.data pipeline."""
    _, kind = _settings()
    validation = tuple(a[:40] for a in arrays) if isinstance(arrays, tuple) else None
    log_dir = pathlib.Path(os.fspath(checkpoint.directory)).parent / (
        pathlib.Path(checkpoint.directory).name + "-logs"
    )
    options["callbacks"] = [TensorBoard(log_dir), *options.get("callbacks", ())]
    if kind == "arrays":
        data = arrays if isinstance(arrays, tuple) else (arrays,)
        options["batch_size"] = BATCH
    else:
        dataset = tf.data.Dataset.from_tensor_slices(arrays).shuffle(50, seed=3).batch(BATCH)
        data = (dataset,)
    if validation is not None:
        options.update(validation_data=validation, validation_batch_size=BATCH)
    trainer.fit(*data, epochs=3, verbose=0, **options)
    trainer.fit(*data, steps=30, verbose=0, **options)
    return trainer


def cnn(checkpoint):
    """Dropout and BatchNormalization, a warm-up, an average of the weights, early stopping."""
    jit, _ = _settings()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 8, 8, 1)).astype("float32")
    y = rng.integers(0, 3, ROWS).astype("int32")
    model = layers.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    rate = optimizers.schedules.CosineDecay(0.0, 40, warmup_target=0.01, warmup_steps=11)
    trainer = Trainer(
        model,
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizers.Adam(rate, use_ema=True),
        metrics=["accuracy"],
        accumulate=2 if _settings()[1] == "arrays" else 1,
        jit=jit,
        checkpoint=checkpoint,
    )
    stop = EarlyStopping("val_loss", patience=50, restore_best_weights=True)
    return _fit(trainer, checkpoint, (x, y), callbacks=[stop])


def lstm(checkpoint):
    """Sparse gradients and a recurrent state; validated amid the epoch."""
    jit, _ = _settings()
    rng = np.random.default_rng(1)
    x = rng.integers(0, 20, (ROWS, 6)).astype("int32")
    y = rng.integers(0, 2, ROWS).astype("int32")
    model = layers.Sequential(
        [layers.Embedding(20, 4), layers.LSTM(5, dropout=0.2), layers.Dense(2)]
    )
    trainer = Trainer(
        model,
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizers.RMSprop(0.01),
        metrics=["accuracy"],
        jit=jit,
        checkpoint=checkpoint,
    )
    return _fit(trainer, checkpoint, (x, y), validation_freq=Every(steps=4))


class Gan(Task):
    """Two models, two optimizers, noise from the step's seed, a random generator of its own."""

    def __init__(self):
        super().__init__()
        self.g = layers.Sequential([layers.Dense(8, activation="relu"), layers.Dense(2)])
        self.d = layers.Sequential([layers.Dense(8, activation="relu"), layers.Dense(1)])
        self.g_optimizer = optimizers.Adam(0.01)
        self.d_optimizer = optimizers.SGD(0.01, momentum=0.9)
        self.jitter = tf.random.Generator.from_seed(5, alg="philox")

    def step(self, batch, ctx):
        z = tf.random.stateless_normal([tf.shape(batch)[0], 3], ctx.seed())
        part = {"x": batch + 0.01 * self.jitter.normal(tf.shape(batch)), "z": z}

        def logistic(logits, real):
            return tf.squeeze(tf.nn.softplus(-logits if real else logits), -1)

        def d_loss(b):
            return logistic(self.d(b["x"]), True) + logistic(self.d(self.g(b["z"])), False)

        def g_loss(b):
            return logistic(self.d(self.g(b["z"])), True)

        variables = self.d.trainable_variables
        return {
            "d_loss": ctx.minimize(d_loss, part, self.d_optimizer, variables),
            "g_loss": ctx.minimize(g_loss, part, self.g_optimizer, self.g.trainable_variables),
            "size": Sums.of(tf.abs(batch)),
        }


def gan(checkpoint):
    """A task of one's own."""
    jit, _ = _settings()
    data = np.random.default_rng(2).normal(size=(ROWS, 2)).astype("float32")
    return _fit(Trainer(Gan(), jit=jit, checkpoint=checkpoint), checkpoint, data)
