"""A batch of no rows has outputs of no rows, in the shape of the rows there would be."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers.empty import with_a_row


def test_rows_are_as_they_are_and_none_are_none():
    for n in (0, 1, 3):
        x = tf.reshape(tf.range(2.0 * n), [n, 2])
        for shape in ([n, 2], [None, 2]):
            run = tf.function(
                lambda x: with_a_row(lambda x: x[:, :1] * 2, x),
                input_signature=[tf.TensorSpec(shape)],
                autograph=False,
            )
            y = run(x)
            assert run.get_concrete_function().output_shapes.as_list() == [shape[0], 1]
            np.testing.assert_array_equal(y, 2 * x[:, :1])


@pytest.mark.parametrize("layer", [
    L.Conv1D(3, 2), L.Conv2D(3, 2), L.Conv2DTranspose(3, 2), L.DepthwiseConv2D(2),
    L.SeparableConv2D(3, 2), L.MaxPooling1D(2), L.MaxPooling2D(2), L.AveragePooling2D(2),
], ids=repr)  # fmt: skip
@pytest.mark.parametrize("jit", [False, True])
def test_no_rows_have_gradients_of_zero(layer, jit):
    """Where TensorFlow's kernels alone give another shape, or abort."""
    x = np.ones([*[2, 4, 4, 2][: layer.input_rank - 1], 2], np.float32)
    y = layer(x)

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = layer(x)
        return z, tape.gradient(z, [x, *layer.trainable_variables])

    z, grads = tf.function(run, jit_compile=jit, autograph=False)(tf.constant(x[:0]))
    assert z.shape == (0, *y.shape[1:])
    for gradient, like in zip(grads, [x[:0], *layer.trainable_variables], strict=True):
        np.testing.assert_array_equal(gradient, np.zeros(like.shape))
