"""EinsumDense is np.einsum with a bias; what does not go together is named."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L
from layers.einsum_dense import weight_shapes

X = np.random.default_rng(0).normal(size=[2, 3, 4]).astype(np.float32)


@pytest.mark.parametrize("equation, output_shape, bias_axes, bias", [
    ("abc,cd->abd", (None, 5), "d", [5]),
    ("abc,bcde->ade", (6, 2), "de", [6, 2]),
    ("abc,cd->adb", (5, None), "d", [5, 1]),
    ("...b,bc->...c", 5, "c", [5]),
    ("ab...,bc->ac...", 5, "c", [5, 1]),
])  # fmt: skip
def test_equations(run, equation, output_shape, bias_axes, bias):
    layer = L.EinsumDense(equation, output_shape, bias_axes=bias_axes, bias_initializer="ones")
    layer(X)
    kernel, got = layer.get_weights()
    assert list(got.shape) == bias
    want = np.einsum(equation, np.float64(X), np.float64(kernel)) + 1.0
    np.testing.assert_allclose(run(layer, X), want, rtol=1e-5, atol=1e-5)


def test_shapes_without_a_batch_size():
    assert weight_shapes("abc,cd->abd", (None, 5), "bd", (None, 3, 4)) == ([4, 5], [3, 5])


@pytest.mark.parametrize("make, words", [
    (lambda: L.EinsumDense("ab,bc", 3), "equation must read like"),
    (lambda: L.EinsumDense("...ab,bc->ac", 3), "equation must read like"),
    (lambda: L.EinsumDense("ab,bc->ac", 3)(X), "names 2 axes of the input, which has 3"),
    (lambda: L.EinsumDense("abc,cd->abd", 3)(X), "output_shape must have one size for each"),
    (lambda: L.EinsumDense("abc,cd->abd", (9, 5))(X), "says 9 for axis 'b'"),
    (lambda: L.EinsumDense("abc,cd->abe", (3, 5))(X), "'e' of the output comes from nowhere"),
    (lambda: L.EinsumDense("abc,cd->abd", (3, None))(X), "axis 'd' has no known size"),
    (lambda: L.EinsumDense("abc,cd->abd", (3, 5), bias_axes="z")(X), "bias_axes must be letters"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
