"""Focal losses against Keras, and against the cross-entropies they become at gamma 0."""

from __future__ import annotations

import numpy as np
import pytest

import losses


@pytest.mark.parametrize("from_logits", [False, True])
def test_binary_equals_keras(from_logits, against_keras, rng):
    y_true = rng.integers(0, 2, (6, 4))
    y_pred = rng.normal(size=(6, 4)) if from_logits else rng.uniform(0.01, 0.99, (6, 4))
    config = {"apply_class_balancing": from_logits, "from_logits": from_logits, "gamma": 1.5}
    against_keras("BinaryFocalCrossentropy", y_true, y_pred, label_smoothing=0.1, **config)


@pytest.mark.parametrize("from_logits", [False, True])
def test_categorical_equals_keras(from_logits, against_keras, rng):
    y_true = np.eye(4)[rng.integers(0, 4, 6)]
    y_pred = rng.normal(size=(6, 4)) if from_logits else rng.dirichlet(np.ones(4), 6)
    config = {"from_logits": from_logits, "alpha": 0.4, "gamma": 1.5, "label_smoothing": 0.1}
    against_keras("CategoricalFocalCrossentropy", y_true, y_pred, **config)


def test_without_focus_they_are_cross_entropies(rng):
    p = rng.dirichlet(np.ones(4), 6)
    y = np.eye(4)[rng.integers(0, 4, 6)]
    np.testing.assert_allclose(
        losses.categorical_focal_crossentropy(y, p, alpha=1.0, gamma=0.0),
        losses.categorical_crossentropy(y, p),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        losses.binary_focal_crossentropy(y, p, gamma=0.0),
        losses.binary_crossentropy(y, p),
        rtol=1e-6,
    )
