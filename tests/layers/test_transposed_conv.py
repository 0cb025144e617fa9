"""Transposed convolutions are the gradients of convolutions, whatever the arguments."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers.transposed_conv import dilated


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "strides, dilation", [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 3))]
)
def test_it_is_the_gradient_of_a_convolution(padding, strides, dilation):
    """<conv(u), x> = <u, transposed(x)> for all u and x."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=[2, 4, 5, 3]).astype(np.float32)
    layer = L.Conv2DTranspose(2, (3, 2), strides=strides, padding=padding, dilation_rate=dilation)
    y = layer(x)
    u = rng.normal(size=y.shape).astype(np.float32)
    forward = L.Conv2D(
        3, (3, 2), strides=strides, padding=padding, dilation_rate=dilation, use_bias=False
    )
    forward(u)
    forward.set_weights([layer.get_weights()[0]])
    left, right = np.sum(np.float64(forward(u)) * x), np.sum(np.float64(u) * y)
    np.testing.assert_allclose(left, right, rtol=1e-5)


def test_output_padding_adds_to_the_output():
    x = np.ones([1, 4, 4, 1], np.float32)
    for more in (0, 1, 2):
        assert L.Conv2DTranspose(1, 3, strides=3, output_padding=more)(x).shape[1] == 12 + more
        same = L.Conv2DTranspose(1, 3, strides=3, output_padding=more, padding="same")
        assert same(x).shape[1] == 10 + more


def test_sizes_of_unknown_inputs_are_found_when_run():
    layer = L.Conv2DTranspose(2, 3, strides=2)
    x = np.ones([2, 4, 5, 1], np.float32)
    want = layer(x)
    run = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 1])])
    np.testing.assert_allclose(run(x), want, rtol=1e-6)


def test_dilated_puts_zeros_between_taps(run):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1)
    want = np.zeros([4, 5, 1, 1], np.float32)
    want[::3, ::2] = kernel
    np.testing.assert_array_equal(run(lambda k: dilated(k, (3, 2)), kernel), want)


@pytest.mark.parametrize("make, words", [
    (lambda: L.Conv2DTranspose(3, 2, strides=2, output_padding=2), "output_padding must be below"),
    (lambda: L.Conv1DTranspose(3, 2, output_padding=0, padding="same"), "a window of odd size"),
    (lambda: L.Conv1DTranspose(3, 2, output_padding=-1), "integers of 0 or more"),
    (lambda: L.Conv3DTranspose(0, 2), "filters must be a positive integer"),
    (lambda: L.Conv1DTranspose(3, 2, padding="causal"), "padding must be one of"),
    (lambda: L.Conv1DTranspose(3, 2, strides=2, dilation_rate=2), "only one of strides"),
    (lambda: L.Conv2DTranspose(3, 2)(np.ones([2, 3, 4])), "takes inputs of rank 4, got rank 3"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
