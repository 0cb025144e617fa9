"""Pools against windows cut out by hand in float64, and what follows from their definition."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=[2, 7, 6, 3]).astype(np.float32)
SERIES = IMAGES[:, :, 0]


def padded(x, axis, size, stride, padding):
    """`x` in float64 with NaN around it, where "same" lets windows reach beyond the edge."""
    x = np.asarray(x, np.float64)
    if padding == "valid":
        return x
    outputs = -(-x.shape[axis] // stride)
    missing = max((outputs - 1) * stride + size - x.shape[axis], 0)
    around = [(0, 0)] * x.ndim
    around[axis] = (missing // 2, missing - missing // 2)
    return np.pad(x, around, constant_values=np.nan)


def windows(x, sizes, strides, padding):
    """`[b, *new spatial, c, *sizes]`."""
    axes = tuple(range(1, 1 + len(sizes)))
    for axis, size, stride in zip(axes, sizes, strides, strict=True):
        x = padded(x, axis, size, stride, padding)
    cut = np.lib.stride_tricks.sliding_window_view(x, sizes, axes)
    return cut[(slice(None), *(slice(None, None, s) for s in strides))]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size, stride", [((3, 2), None), ((2, 3), (1, 2)), ((1, 4), (3, 1))])
def test_windows_cut_by_hand(run, size, stride, padding):
    for x, spatial in ((IMAGES, 2), (SERIES, 1)):
        sizes, strides = size[:spatial], None if stride is None else stride[:spatial]
        cut = windows(x, sizes, strides or sizes, padding)
        inner = tuple(range(-spatial, 0))
        for kind, reduced in (("Max", np.nanmax), ("Average", np.nanmean)):
            layer = getattr(L, f"{kind}Pooling{spatial}D")(sizes, strides, padding=padding)
            want = reduced(cut, inner)
            np.testing.assert_allclose(run(layer, x), want, rtol=1e-5, atol=1e-6)


def test_pools_of_everything_are_global(run):
    """A window as large as the input; and global pools do not care in which order values stand."""
    for kind in ("Max", "Average"):
        for x, spatial in ((IMAGES, 2), (SERIES, 1)):
            window = getattr(L, f"{kind}Pooling{spatial}D")(x.shape[1:-1])
            kept = getattr(L, f"Global{kind}Pooling{spatial}D")(keepdims=True)
            flat = getattr(L, f"Global{kind}Pooling{spatial}D")()
            want = run(window, x)
            np.testing.assert_allclose(run(kept, x), want, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(run(flat, x), np.reshape(run(kept, x), [2, 3]))
            np.testing.assert_allclose(run(flat, x[:, ::-1]), run(flat, x), rtol=1e-5, atol=1e-6)


def test_gradients_share_out_what_comes_in(run):
    """An average gives each of its 6 values a sixth; a maximum gives all to the largest."""

    def graded(layer):
        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(layer(x))
            return tape.gradient(y, x)

        return np.asarray(run(gradient, IMAGES[:, :6]))

    np.testing.assert_allclose(graded(L.AveragePooling2D((3, 2))), 1 / 6, rtol=1e-6)
    np.testing.assert_allclose(graded(L.GlobalAveragePooling2D()), 1 / 36, rtol=1e-6)
    largest = IMAGES[:, :6] == IMAGES[:, :6].max((1, 2), keepdims=True)
    np.testing.assert_array_equal(graded(L.GlobalMaxPooling2D()), largest)
    cut = windows(IMAGES[:, :6], (3, 2), (3, 2), "valid").max((-2, -1))
    largest = IMAGES[:, :6] == cut.repeat(3, 1).repeat(2, 2).astype(np.float32)
    np.testing.assert_array_equal(graded(L.MaxPooling2D((3, 2))), largest)


def test_a_mean_of_sixteen_bit_values_is_summed_in_float32(run):
    """The sum of 4,096 times 32 is beyond float16, the mean is not."""
    for layer, shape in (
        (L.GlobalAveragePooling1D(), [1, 4096, 1]),
        (L.GlobalAveragePooling2D(), [1, 64, 64, 1]),
    ):
        layer.compute_dtype = "float16"
        y = run(layer, np.full(shape, 32, np.float32))
        assert y.dtype == tf.float16 and float(y[0, 0]) == 32.0


def test_integer_images_are_cast(run):
    pixels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    y = run(L.AveragePooling2D(), pixels)
    assert y.dtype == tf.float32
    np.testing.assert_array_equal(y[0, ..., 0], [[2.5, 4.5], [10.5, 12.5]])


@pytest.mark.parametrize("make, words", [
    (lambda: L.MaxPooling2D((2, 2, 2)), "pool_size must be one positive integer or 2"),
    (lambda: L.AveragePooling1D(0), "pool_size must be a positive integer"),
    (lambda: L.MaxPooling1D(2, strides=-1), "strides must be a positive integer"),
    (lambda: L.MaxPooling1D(2, padding="causal"), "padding must be one of"),
    (lambda: L.MaxPooling2D(6)(IMAGES[:, :5]), "a larger input"),
    (lambda: L.GlobalMaxPooling1D()(IMAGES), "takes inputs of rank 3"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
