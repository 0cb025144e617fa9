"""Losses of embeddings: halves that see all references are the whole; brute force: catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import losses

LABELS = np.array([0, 1, 0, 1, 2, 2, 0, 3])
NAMES = ["triplet_semihard", "triplet_hard", "lifted_structure", "circle"]


@pytest.fixture
def embeddings(rng):
    e = rng.normal(size=(8, 4))
    return np.float32(e / np.linalg.norm(e, axis=1, keepdims=True))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", [*NAMES, "n_pairs"])
def test_two_halves_that_see_all_are_one_batch(name, jit, embeddings):
    """What two replicas do that gather each other's embeddings, gradients included."""
    loss = getattr(losses, name)

    def half(part, e, i):
        if name == "n_pairs":
            return loss(LABELS[part], tf.matmul(e[part], e, transpose_b=True), ref_labels=LABELS)
        return loss(LABELS[part], e[part], ref_labels=LABELS, ref_embeddings=e, offset=4 * i)

    def whole(e):
        return loss(LABELS, tf.matmul(e, e, transpose_b=True) if name == "n_pairs" else e)

    def halves(e):
        return tf.concat([half(slice(4 * i, 4 * i + 4), e, i) for i in range(2)], 0)

    @tf.function(jit_compile=jit, autograph=False)
    def graded(e):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(e)
            values = whole(e), halves(e)
        return [(v, tape.gradient(v, e)) for v in values]

    (value, gradient), (in_parts, in_parts_gradient) = graded(tf.constant(embeddings))
    assert np.abs(value).max() > 0
    np.testing.assert_allclose(in_parts, value, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(in_parts_gradient, gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["TripletSemiHard", "TripletHard", "LiftedStructure"])
def test_anchors_without_company_leave_the_mean(name, embeddings):
    loss = getattr(losses, name)()
    values = loss.call(LABELS, embeddings).numpy()
    np.testing.assert_array_equal(loss.mask(LABELS, embeddings), LABELS != 3)
    assert values[LABELS == 3] == 0.0
    np.testing.assert_allclose(loss(LABELS, embeddings), values[:-1].mean(), rtol=1e-6)
    assert float(loss([1] * 8, embeddings)) == 0.0  # no negative anywhere


def test_circle_equals_keras_with_its_mask(against_keras, embeddings):
    against_keras("Circle", LABELS, embeddings, gamma=8.0, margin=0.2, rtol=1e-5)
    against_keras("Circle", LABELS, embeddings, remove_diagonal=False, gamma=10.0, rtol=1e-5)


def test_equal_points_have_a_gradient_that_is_a_number():
    same = tf.ones([4, 3])
    for name in NAMES:
        with tf.GradientTape() as tape:
            tape.watch(same)
            value = getattr(losses, name)([0, 0, 1, 1], same)
        assert np.isfinite(value).all() and np.isfinite(tape.gradient(value, same)).all()


def test_soft_margin():
    e = [[0.0], [1.0], [5.0], [5.5]]
    np.testing.assert_allclose(
        losses.triplet_hard([0, 0, 1, 1], e, soft=True),
        np.log1p(np.exp([1 - 5, 1 - 4, 0.5 - 4, 0.5 - 4.5])),
        rtol=1e-6,
    )


def test_refusals(embeddings):
    with pytest.raises(ValueError, match="pass both or neither"):
        losses.circle(LABELS, embeddings, ref_labels=LABELS)
    with pytest.raises(ValueError, match=r"class numbers \[b\]"):
        losses.triplet_hard(LABELS[:3], embeddings)
    with pytest.raises(ValueError, match="similarity of each of 8 anchors"):
        losses.n_pairs(LABELS, embeddings)
    with pytest.raises(ValueError, match=r"both are \[b\]"):
        losses.contrastive([1, 0], [[0.5], [0.5]])
    with pytest.raises(ValueError, match="margin=0 must be above 0"):
        losses.TripletHard(0)
