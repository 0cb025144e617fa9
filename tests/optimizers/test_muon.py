"""Muon against Keras, and what Newton-Schulz does to singular values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers


@pytest.mark.parametrize(
    "config",
    [
        {"learning_rate": 0.01},
        {
            "learning_rate": 0.01,
            "nesterov": False,
            "rms_rate": None,
            "weight_decay": None,
            "exclude_layers": ["ta.le"],
            "adam_lr_ratio": 0.5,
        },
    ],
)
def test_equals_keras(config, equals_keras):
    equals_keras("Muon", config)


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
