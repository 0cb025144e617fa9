"""The chunked cross-entropy is the usual one, whatever the chunks, weights and modes."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from trainer import Task, Trainer

N, D, K = 10, 4, 7


@pytest.fixture
def parts(rng):
    hidden, kernel, bias = (rng.normal(size=s) for s in ([2, 5, D], [D, K], [K]))
    return rng.integers(0, K, (2, 5)), *map(np.float32, (hidden, kernel, bias))


def usual(labels, hidden, kernel, bias, weights, ignored):
    logits = tf.cast(hidden, tf.float32) @ kernel + bias
    values = losses.sparse_categorical_crossentropy(labels, logits, True, ignored)
    return values * weights


def graded(fn, *args, scale=1.0):
    with tf.GradientTape() as tape:
        tape.watch(args)
        values = fn(*args)
        total = tf.reduce_sum(values * scale)
    return values, *tape.gradient(total, args)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("chunk", [3, 5, 64])
@pytest.mark.parametrize("transposed", [False, True])
def test_values_and_gradients_are_those_of_all_logits(jit, chunk, transposed, parts, rng):
    labels, *args = parts
    labels[1, 2] = 3
    weights = np.float32(rng.uniform(size=(2, 5)))
    # One factor for all (saved gradients scaled), and one for each (computed again).
    for scale in (0.5, np.float32(rng.normal(size=(2, 5)))):

        def chunked(hidden, kernel, bias):
            return losses.chunked_crossentropy(
                labels,
                hidden,
                tf.transpose(kernel) if transposed else kernel,
                bias,
                sample_weight=weights,
                ignore_class=3,
                transpose_kernel=transposed,
                chunk=chunk,
            )

        wanted = graded(
            lambda *a: usual(labels, *a, weights, 3), *map(tf.constant, args), scale=scale
        )
        run = tf.function(
            functools.partial(graded, chunked, scale=scale), jit_compile=jit, autograph=False
        )
        for found, want in zip(run(*map(tf.constant, args)), wanted, strict=True):
            np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_without_bias_weights_or_gradient(parts):
    labels, hidden, kernel, _ = parts
    wanted = losses.sparse_categorical_crossentropy(labels, hidden @ kernel, True)
    for training in (True, False):
        found = losses.chunked_crossentropy(labels, hidden, kernel, training=training, chunk=3)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    kernel = tf.Variable(kernel)
    with tf.GradientTape() as tape:
        value = losses.chunked_crossentropy(labels, hidden, kernel, training=False)
    with pytest.raises(ValueError, match="pass training=True"):
        tape.gradient(value, kernel)


def test_rows_unknown_until_run(parts):
    labels, hidden, kernel, bias = parts
    spec = [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None, D])]
    run = tf.function(
        lambda y, h: losses.chunked_crossentropy(y, h, kernel, bias, chunk=3),
        input_signature=spec,
        autograph=False,
    )
    found = run(labels.reshape(-1), hidden.reshape(-1, D))
    wanted = losses.chunked_crossentropy(labels, hidden, kernel, bias)
    np.testing.assert_allclose(found, np.reshape(wanted, -1), rtol=1e-6)


def test_half_precision_keeps_its_dtype_in_the_gradients(parts):
    labels, *args = parts
    half = [tf.constant(a, tf.bfloat16) for a in args]
    found = graded(lambda *a: losses.chunked_crossentropy(labels, *a), *half)
    wanted = graded(lambda *a: usual(labels, *a, 1.0, None), *map(tf.constant, args))
    assert [x.dtype for x in found] == [tf.float32] + 3 * [tf.bfloat16]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(tf.cast(a, tf.float32), b, rtol=0.1, atol=0.1)


def test_refusals(parts):
    labels, hidden, kernel, _ = parts
    with pytest.raises(ValueError, match=r"it must be \[k, d\]"):
        losses.chunked_crossentropy(labels, hidden, kernel, transpose_kernel=True)
    with pytest.raises(ValueError, match="without its last axis"):
        losses.chunked_crossentropy(labels[:1], hidden, kernel)
    with pytest.raises(ValueError, match=r"they must lie in \[0, 7\)"):
        losses.chunked_crossentropy(labels + 5, hidden, kernel)
    with pytest.raises(ValueError, match="chunk=0"):
        losses.chunked_crossentropy(labels, hidden, kernel, chunk=0)


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_it_trains_a_model_like_the_usual_one(jit, rng):
    """In a task, in parts of a batch, inside the compiled loop; the last step has masked tokens."""
    x, y = np.float32(rng.normal(size=(12, 3, D))), rng.integers(0, K, (12, 3))
    y[-3:] = -1

    class Language(Task):
        def __init__(self, chunked):
            super().__init__()
            self.body = layers.Dense(D, kernel_initializer="ones")
            self.body(x[:1])  # makes its variables
            self.head = tf.Variable(np.float32(np.random.default_rng(0).normal(size=(D, K))))
            self.optimizer, self.chunked = optimizers.SGD(0.1), chunked

        def step(self, batch, ctx):
            def loss_fn(part):
                hidden = self.body(part["x"])
                if self.chunked:
                    return losses.chunked_crossentropy(
                        part["y"], hidden, self.head, ignore_class=-1, chunk=4
                    )
                return losses.sparse_categorical_crossentropy(
                    part["y"], hidden @ self.head, True, ignore_class=-1
                )

            variables = [*self.body.trainable_variables, self.head]
            return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, variables)}

    found = []
    for chunked in (True, False):
        trainer = Trainer(Language(chunked), jit=jit, accumulate=2)
        history = trainer.fit({"x": x, "y": y}, batch_size=2, epochs=2, shuffle=False, verbose=0)
        found.append((history.steps["loss"], trainer.task.head.numpy()))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert found[0][0][-1] < found[0][0][0]
