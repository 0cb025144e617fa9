"""Adaptive pools against windows cut by hand in float64."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L
from layers.adaptive_pooling import edges

X = np.random.default_rng(0).normal(size=[2, 7, 6, 3]).astype(np.float32)


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (7, 6), (9, 2)])
def test_windows_cut_by_hand(run, size):
    for kind, reduce in (("Max", np.max), ("Average", np.mean)):
        want = np.zeros([2, *size, 3])
        for i, (a, b) in enumerate(edges(7, size[0])):
            for j, (c, d) in enumerate(edges(6, size[1])):
                want[:, i, j] = reduce(np.float64(X[:, a:b, c:d]), axis=(1, 2))
        layer = getattr(L, f"Adaptive{kind}Pooling2D")(size)
        np.testing.assert_allclose(run(layer, X), want, rtol=1e-5, atol=1e-6)


def test_one_window_is_global_and_divisors_are_plain_pools():
    volume = np.random.default_rng(0).normal(size=[2, 4, 6, 2, 3]).astype(np.float32)
    for kind in ("Max", "Average"):
        one = getattr(L, f"Adaptive{kind}Pooling3D")(1)(volume)
        whole = getattr(L, f"Global{kind}Pooling3D")(keepdims=True)(volume)
        np.testing.assert_allclose(one, whole, rtol=1e-5, atol=1e-6)
        plain = getattr(L, f"{kind}Pooling3D")((2, 3, 1))(volume)
        even = getattr(L, f"Adaptive{kind}Pooling3D")(2)(volume)
        np.testing.assert_allclose(even, plain, rtol=1e-5, atol=1e-6)


def test_windows_cover_the_axis():
    assert edges(5, 3) == [(0, 2), (1, 4), (3, 5)]  # they may share positions
    assert edges(2, 3) == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize("make, words", [
    (lambda: L.AdaptiveMaxPooling2D((1, 2, 3)), "output_size must be one positive integer or 2"),
    (lambda: L.AdaptiveMaxPooling1D(0), "output_size must be a positive integer"),
    (lambda: L.AdaptiveAveragePooling1D(2)(X), "takes inputs of rank 3, got rank 4"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
