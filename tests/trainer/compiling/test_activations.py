"""The peak of a step's activations, against sums made by hand, and what recomputation saves."""

import pytest
import tensorflow as tf

import layers
from trainer.compiling.activations import peak_bytes

ROWS = 512


def _graph(fn, *shapes):
    specs = [tf.TensorSpec(shape) for shape in shapes]
    return tf.function(fn, autograph=False).get_concrete_function(*specs).graph


def test_a_chain_keeps_two_at_once():
    """Each value dies where the next is made: input and output of one operation."""
    graph = _graph(lambda x: tf.exp(tf.sin(tf.cos(x))), [100])
    assert peak_bytes(graph) == 2 * 400


def test_a_value_that_is_used_later_is_kept():
    def fn(x):
        first = tf.cos(x)
        return tf.sin(tf.exp(first)) + tf.reshape(first, [100])

    assert peak_bytes(_graph(fn, [100])) == 3 * 400


def test_called_functions_are_counted():
    inner = tf.function(lambda x: tf.exp(tf.sin(tf.cos(x))), autograph=False)
    graph = _graph(lambda x: inner(x) + tf.cos(x), [100])
    assert peak_bytes(graph) == pytest.approx(3 * 400, abs=400)


def _peak(recompute):
    blocks = [
        layers.Sequential([layers.Dense(32, activation="tanh") for _ in range(6)]) for _ in range(4)
    ]
    model = layers.Sequential(blocks)
    model(tf.ones([ROWS, 32]))
    for block in blocks:
        block.recompute = recompute

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True))
        return tape.gradient(loss, model.trainable_variables)

    return peak_bytes(_graph(step, [ROWS, 32]))


def test_recomputed_blocks_keep_their_inputs_only():
    """24 outputs are kept without; with it the 4 inputs of blocks, and 6 of the one at hand."""
    one = ROWS * 32 * 4
    plain, again = _peak(False), _peak(True)
    weights = 24 * (32 * 32 + 32) * 4  # gradients, all alive at the end
    assert 24 * one <= plain <= 28 * one + weights
    assert again <= 16 * one + weights
    assert plain - again >= 12 * one
