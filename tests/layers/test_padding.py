"""Zeros around and ends cut off: NumPy's pad, and cropping as its inverse."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

X = np.random.default_rng(0).normal(size=[2, 5, 4, 3]).astype(np.float32)


@pytest.mark.parametrize("given, sides", [
    (1, ((1, 1), (1, 1))), ((1, 2), ((1, 1), (2, 2))), (((0, 1), (2, 0)), ((0, 1), (2, 0))),
])  # fmt: skip
def test_zeros_around_and_back(run, given, sides):
    y = run(L.ZeroPadding2D(given), X)
    np.testing.assert_array_equal(y, np.pad(X, [(0, 0), *sides, (0, 0)]))
    np.testing.assert_array_equal(run(L.Cropping2D(given), np.asarray(y)), X)


def test_one_axis_takes_before_and_after():
    assert L.ZeroPadding1D((1, 2)).padding == ((1, 2),) and L.Cropping1D(1).cropping == ((1, 1),)


@pytest.mark.parametrize("make, words", [
    (lambda: L.ZeroPadding2D((1, 2, 3)), "padding must be one integer, or 2 of them or of pairs"),
    (lambda: L.ZeroPadding1D(-1), "padding must hold integers of 0 or more, got -1"),
    (lambda: L.Cropping2D(((1, 2, 3), 1)), "cropping must be one positive integer or 2 of them"),
    (lambda: L.Cropping2D(2)(X), r"cuts 2 \+ 2 off an axis of size 4"),
    (lambda: L.ZeroPadding3D()(X), "takes inputs of rank 5, got rank 4"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
