"""Muon against the published algorithm in NumPy, and what Newton-Schulz does."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.mark.parametrize("shape", [(5, 5), (3, 9), (2, 9, 4)])
def test_newton_schulz_makes_singular_values_near_one(shape, rng):
    x = np.float32(rng.normal(size=shape))
    y = optimizers.newton_schulz(tf.constant(x), 8).numpy()
    u, s, v = np.linalg.svd(y, full_matrices=False)
    assert s.max() < 1.3 and s.min() > 0.6
    wanted = np.linalg.svd(x, full_matrices=False)
    # The directions are those of x: u v^T is its orthogonal factor.
    np.testing.assert_allclose(u @ v, wanted[0] @ wanted[2], atol=2e-3)


def test_the_papers_scale_is_by_shape():
    for shape, scale in (((8, 2), 1.0), ((2, 8), 2.0)):
        weight = tf.Variable(tf.zeros(shape))
        gradient = tf.eye(*shape)
        optimizers.Muon(1.0, paper=True, weight_decay=None).apply([gradient], [weight])
        plain = optimizers.newton_schulz(gradient)
        np.testing.assert_allclose(weight, -scale * plain, rtol=1e-5, atol=1e-6)


def test_embeddings_and_vectors_are_adams():
    names = ("embedding/table", "dense/kernel", "dense/bias")
    shapes = ((4, 2), (4, 2), (2,))
    weights = [tf.Variable(tf.ones(s), name=n) for n, s in zip(names, shapes, strict=True)]
    optimizer = optimizers.Muon()
    optimizer.build(weights)
    assert [v is None for v in optimizer.slots["velocity"]] == [False, True, False]
    both = optimizers.Muon(exclude_embeddings=False)
    both.build(weights)
    assert [v is None for v in both.slots["velocity"]] == [True, True, False]


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("paper", [False, True])
def test_the_published_algorithm(nesterov, paper, equals_numpy):
    """Jordan et al. 2024 (the scale by shape) and Liu et al. 2025 (that of Adam); AdamW beside."""

    def rule(t, w, g, s):
        if w.ndim < 2:
            w = w * (1 - 0.02 * 0.2)
            s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
            s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
            rate = 0.02 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            return w - rate * s["m"] / (np.sqrt(s["v"]) + 1e-7)
        s["m"] = 0.95 * s.get("m", 0) + g
        x = g + 0.95 * s["m"] if nesterov else s["m"]
        x = x / np.linalg.norm(x)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
        scale = np.sqrt(max(1, w.shape[1] / w.shape[0]) if paper else 0.04 * max(w.shape))
        return w * (1 - 0.02 * 0.1) - 0.02 * scale * x

    def make():
        return optimizers.Muon(
            0.02, weight_decay=0.1, adam_weight_decay=0.2, nesterov=nesterov, paper=paper
        )

    equals_numpy(make, rule, 1e-5, modes=(paper is nesterov,))
