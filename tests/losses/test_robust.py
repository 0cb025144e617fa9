"""Changed cross-entropies: against Keras, their limits, their gradients; values: catalogue."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses
from losses.robust import sparsemax


def test_generalised_equals_keras(against_keras, rng):
    labels, p = rng.integers(0, 4, 6), rng.dirichlet(np.ones(4), 6)
    against_keras("CategoricalGeneralizedCrossEntropy", labels, p, q=0.7)
    a, b = (m.categorical_generalized_cross_entropy for m in (losses, keras.losses))
    np.testing.assert_allclose(a(labels, np.float32(p), 0.3), b(labels, np.float32(p), 0.3), 1e-6)


def test_generalised_lies_between_its_limits(rng):
    labels, p = rng.integers(0, 4, 6), rng.dirichlet(np.ones(4), 6)
    own = p[np.arange(6), labels]
    loss = losses.categorical_generalized_cross_entropy
    np.testing.assert_allclose(loss(labels, p, 1e-3), -np.log(own), rtol=5e-3)
    np.testing.assert_allclose(loss(labels, p, 1.0), 1 - own, rtol=1e-6)


def test_poly_is_crossentropy_at_epsilon_0_and_the_same_from_logits(rng):
    y, z = np.eye(4)[rng.integers(0, 4, 6)], rng.normal(size=(6, 4))
    poly = losses.categorical_poly_crossentropy
    np.testing.assert_allclose(
        poly(y, z, 0.0, True, 0.1), losses.categorical_crossentropy(y, z, True, 0.1), rtol=1e-6
    )
    np.testing.assert_allclose(poly(y, z, 2.0, True), poly(y, tf.nn.softmax(z), 2.0), rtol=1e-5)


def test_sparsemax_loss_has_sparsemax_minus_y_as_gradient(rng):
    y, z = np.eye(4)[[0, 1, 2]], tf.constant(rng.normal(size=(3, 4)) * 2, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = losses.SparsemaxLoss(reduction="sum")(y, z)
    np.testing.assert_allclose(tape.gradient(value, z), sparsemax(z) - y, atol=1e-6)
    np.testing.assert_allclose(losses.sparsemax_loss([[1, 0]], [[3.0, 2.0]]), [0.0], atol=1e-6)


def test_rare_classes_have_the_larger_margin():
    loss = losses.LabelAwareMargin([1, 16, 81], max_margin=0.6)
    np.testing.assert_allclose(loss.margins, [0.6, 0.3, 0.2], rtol=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match=r"q=1\.0 must lie between"):
        losses.CategoricalGeneralizedCrossEntropy(1.0)
    with pytest.raises(ValueError, match="one number above 0 for each class"):
        losses.LabelAwareMargin([3, 0])
