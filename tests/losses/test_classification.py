"""Cross-entropies against Keras, at extremes, and with what Keras has no answer for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses


@pytest.fixture
def scores(rng):
    """Logits [b, t, k], and labels [b, t]."""
    return rng.normal(size=(4, 3, 5)) * 3, rng.integers(0, 5, (4, 3))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_equals_keras(from_logits, smoothing, against_keras, rng):
    y_true = rng.integers(0, 2, (6, 4))
    y_pred = rng.normal(size=(6, 4)) * 4 if from_logits else rng.uniform(0.01, 0.99, (6, 4))
    config = {"from_logits": from_logits, "label_smoothing": smoothing}
    against_keras("BinaryCrossentropy", y_true, y_pred, **config)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_categorical_equals_keras(from_logits, smoothing, scores, against_keras, rng):
    logits, labels = scores
    y_pred = logits if from_logits else softmax(logits)
    config = {"from_logits": from_logits, "label_smoothing": smoothing}
    weights = rng.uniform(size=(4, 3))
    against_keras("CategoricalCrossentropy", np.eye(5)[labels], y_pred, weights, **config)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("ignore_class", [None, 2, -1])
def test_sparse_equals_keras(from_logits, ignore_class, scores, against_keras, rng):
    logits, labels = scores
    y_pred = logits if from_logits else softmax(logits)
    if ignore_class is not None:
        labels[0, 0] = labels[1] = ignore_class
    config = {"from_logits": from_logits, "ignore_class": ignore_class}
    weights = rng.uniform(size=(4, 3))
    against_keras("SparseCategoricalCrossentropy", labels, y_pred, weights, **config)


def test_kl_divergence_equals_keras(scores, against_keras, rng):
    logits, _ = scores
    weights = rng.uniform(size=(4, 3))
    against_keras("KLDivergence", softmax(logits), softmax(logits[::-1]), weights)


def test_class_axis_in_the_middle_equals_the_last(scores, rng):
    logits, labels = scores
    moved = np.moveaxis(logits, -1, 1)
    for from_logits in (True, False):
        sparse = losses.sparse_categorical_crossentropy
        given = moved if from_logits else np.moveaxis(softmax(logits), -1, 1)
        last = np.moveaxis(given, 1, -1)
        np.testing.assert_allclose(
            sparse(labels, given, from_logits, axis=1), sparse(labels, last, from_logits), rtol=1e-6
        )
        one_hot = np.eye(5)[labels]
        np.testing.assert_allclose(
            losses.categorical_crossentropy(
                np.moveaxis(one_hot, -1, 1), given, from_logits, 0.1, axis=1
            ),
            losses.categorical_crossentropy(one_hot, last, from_logits, 0.1),
            rtol=1e-6,
        )
    with_axis = labels[:, np.newaxis]
    np.testing.assert_array_equal(
        sparse(with_axis, moved, True, axis=1), sparse(labels, logits, True)
    )


def test_sparse_is_categorical_of_one_hot(scores):
    logits, labels = scores
    np.testing.assert_allclose(
        losses.sparse_categorical_crossentropy(labels, logits, True),
        losses.categorical_crossentropy(np.eye(5)[labels], logits, True),
        rtol=1e-6,
    )


@pytest.mark.parametrize("jit", [False, True])
def test_huge_logits_stay_exact(jit):
    @tf.function(jit_compile=jit)
    def run(logits):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(logits)
            sparse = losses.sparse_categorical_crossentropy([0, 1], logits, True)
            dense = losses.categorical_crossentropy([[1, 0], [0, 1]], logits, True)
            binary = losses.binary_crossentropy([[1, 0], [0, 1]], logits, True)
        return [(v, tape.gradient(v, logits)) for v in (sparse, dense, binary)]

    got = run(tf.constant([[1e4, -1e4]] * 2))
    for (value, gradient), wrong in zip(got, (2e4, 2e4, 1e4), strict=True):
        np.testing.assert_allclose(value, [0.0, wrong], rtol=1e-6)
        assert np.isfinite(gradient).all()
        assert np.abs(gradient[1]).max() >= 0.5


def test_probabilities_of_zero_and_one_are_clipped():
    exact = -np.log(np.float32(1e-7))
    p = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    right, wrong = losses.binary_crossentropy([[1, 0], [1, 0]], p).numpy()
    assert 0 <= right < 2e-7 and wrong == pytest.approx(exact, rel=1e-2)
    for value in (
        losses.sparse_categorical_crossentropy([0, 0], p),
        losses.categorical_crossentropy([[1, 0], [1, 0]], p),
    ):
        assert abs(value[0]) < 3e-7 and float(value[1]) == pytest.approx(exact, rel=1e-5)
    np.testing.assert_allclose(
        losses.binary_crossentropy([[1, 0], [1, 0]], p),
        keras.losses.binary_crossentropy(np.float32([[1, 0], [1, 0]]), p),
        rtol=1e-6,
    )


@pytest.mark.parametrize("label", [-1, 5])
def test_labels_outside_the_classes_raise_eagerly(label):
    with pytest.raises(ValueError, match=r"they must lie in \[0, 5\)"):
        losses.sparse_categorical_crossentropy([0, label], tf.zeros([2, 5]), True)


def test_large_class_numbers_are_not_rounded():
    k = 2**24 + 2
    logits = tf.one_hot([k - 1], k) * 50.0
    value = losses.SparseCategoricalCrossentropy(from_logits=True)([k - 1], logits)
    assert float(value) < 1e-6


@pytest.mark.parametrize("shape", [[3], [4, 3], [4, 1, 1], [4, 5]])
def test_sparse_labels_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="without its class axis"):
        losses.sparse_categorical_crossentropy(tf.zeros(shape, tf.int32), tf.zeros([4, 5]), True)


def test_other_refusals():
    with pytest.raises(ValueError, match="nothing is broadcast"):
        losses.categorical_crossentropy(tf.zeros([4, 1]), tf.zeros([4, 3]))
    with pytest.raises(ValueError, match="nothing is broadcast"):
        losses.binary_crossentropy(tf.zeros([4, 1]), tf.zeros([4, 3]))
    with pytest.raises(ValueError, match="binary_crossentropy"):
        losses.categorical_crossentropy(tf.zeros([4, 1]), tf.zeros([4, 1]))
    with pytest.raises(ValueError, match=r"label_smoothing=1.5 must lie in \[0, 1\]"):
        losses.BinaryCrossentropy(label_smoothing=1.5)


def test_ignored_elements_have_no_value_no_gradient_and_no_count():
    logits = tf.constant([[1.0, 2.0], [np.nan, np.inf], [0.5, 0.0]])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    labels = [0, 255, 1]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(labels, logits)
    gradient = tape.gradient(value, logits)
    kept = losses.sparse_categorical_crossentropy([0, 1], tf.gather(logits, [0, 2]), True)
    np.testing.assert_allclose(value, np.mean(kept), rtol=1e-6)
    np.testing.assert_array_equal(gradient[1], [0.0, 0.0])
    np.testing.assert_array_equal(loss.mask(labels, logits), [True, False, True])
    assert float(loss([255] * 3, logits)) == 0.0
