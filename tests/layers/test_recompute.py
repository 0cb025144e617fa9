"""A recomputed layer has the same outputs, gradients, draws and statistics, and keeps less."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import layers

X = np.random.default_rng(0).normal(size=(8, 5, 6)).astype("float32")


class Block(layers.Layer):
    """What may be inside: two random layers, statistics, attention, a shortcut."""

    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization()
        self.attention = layers.MultiHeadAttention(2, 3, dropout=0.3)
        self.drop = layers.Dropout(0.5)
        self.up = layers.Dense(12, activation="gelu")
        self.down = layers.Dense(6)

    def call(self, x, training=False):
        y = self.norm(x, training=training)
        x = x + self.attention(y, y, use_causal_mask=True, training=training)
        return x + self.down(self.drop(self.up(x), training=training))


def _seeds():
    count = iter(range(100))
    return lambda: tf.constant([7, next(count)], tf.int32)


@functools.cache
def _weights():
    model = layers.Sequential([Block(), Block()])
    model(X)
    return model, model.get_weights()


def _run(mode, outer, inner=False):
    """Output, gradients of input and weights, and statistics after one step."""
    model, weights = _weights()
    model.set_weights(weights)
    for block in model.layers:
        block.recompute, block.attention.recompute = outer, inner

    def step(x):
        source = _seeds()
        for module in (model, *model.submodules):
            if hasattr(module, "seed_source"):
                module.seed_source = source
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([x, *model.trainable_variables])
            y = model(x, training=True)
            loss = tf.reduce_sum(tf.sin(y))
        return y, tape.gradient(loss, [x, *model.trainable_variables])

    if mode != "eager":
        step = tf.function(step, jit_compile=mode == "xla", autograph=False)
    return tf.nest.flatten((step(tf.constant(X)), model.weights))


@pytest.mark.parametrize(
    ("mode", "inner"), [("eager", False), ("graph", False), ("graph", True), ("xla", True)]
)
def test_all_is_the_same(mode, inner):
    """Bit for bit, but where a compiler fuses otherwise and so rounds otherwise."""
    plain, again = _run(mode, False), _run(mode, True, inner)
    for a, b in zip(plain, again, strict=True):
        if mode == "xla" or (mode == "graph" and inner):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(a, b)


def test_masks_and_keywords_pass_through():
    layer = layers.MultiHeadAttention(2, 3)
    mask = np.tril(np.ones((5, 5), bool))[None]
    want = layer(X, X, attention_mask=mask)
    layer.recompute = True
    np.testing.assert_array_equal(layer(X, X, attention_mask=mask), want)


@pytest.mark.parametrize("jit", [None, True])
def test_it_is_run_again_and_not_kept(jit):
    """The products of the forward pass stand in the compiled program a second time."""

    def products(recompute):
        layer = layers.Sequential([layers.Dense(6, activation="gelu"), layers.Dense(6)])
        layer(X)
        layer.recompute = recompute

        @tf.function(jit_compile=jit, autograph=False)
        def step(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(tf.sin(layer(x, training=True)))
            return tape.gradient(loss, x)

        x = tf.constant(X)
        if jit:
            return step.experimental_get_compiler_ir(x)(stage="optimized_hlo").count(" dot(")
        graph = step.get_concrete_function(x).graph
        return sum(op.type == "MatMul" for op in graph.get_operations())

    assert products(True) > products(False)


def test_state_that_is_read_again_is_refused():
    class Counts(layers.Layer):
        def build(self, shape):
            self.seen = self.add_weight("seen", (), "zeros", trainable=False)

        def call(self, x):
            self.seen.assign_add(1.0)
            return x * self.seen

    layer = Counts()
    layer(X)
    layer.recompute = True
    with pytest.raises(ValueError, match="changes a variable that it may read"):
        tf.function(layer, autograph=False)(tf.constant(X))
