"""CTC against Keras's, with lengths, and where no alignment exists. By brute force: catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import losses


def test_equals_keras(against_keras, rng):
    labels = np.array([[1, 2, 2, 0], [3, 1, 0, 0], [4, 4, 4, 4], [0, 0, 0, 0]])
    against_keras("CTC", labels, rng.normal(size=(4, 9, 5)) * 3, rtol=1e-5)


def test_lengths_cut_rows_off(rng):
    labels, logits = np.array([[1, 2, 3], [2, 2, 0]]), np.float32(rng.normal(size=(2, 8, 4)))
    cut = losses.ctc(labels, logits, label_length=[2, 1], logit_length=[6, 5])
    alone = [losses.ctc([[1, 2]], logits[:1, :6])[0], losses.ctc([[2]], logits[1:, :5])[0]]
    np.testing.assert_allclose(cut, alone, rtol=1e-6)


def test_its_loop_compiles_inside_other_loops_and_persistent_tapes(rng):
    """As in a training loop."""
    labels, logits = np.array([[1, 2], [3, 3]]), tf.Variable(np.float32(rng.normal(size=(2, 8, 4))))

    @tf.function(jit_compile=True, autograph=False)
    def run():
        def body(i, total):
            with tf.GradientTape(persistent=True) as tape:
                value = losses.ctc(labels, logits)
            return i + 1, total + tape.gradient(value, logits)

        return tf.while_loop(lambda i, _: i < 3, body, (0, tf.zeros([2, 8, 4])))[1]

    with tf.GradientTape() as tape:
        value = losses.ctc(labels, logits)
    np.testing.assert_allclose(run(), 3 * tape.gradient(value, logits), rtol=1e-5, atol=1e-6)


def test_a_label_too_many_is_seen_and_no_nan():
    logits = tf.zeros([2, 3, 4])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = losses.ctc([[1, 2, 0], [1, 1, 1]], logits)
    assert values[0] < 10 and values[1] >= 1e30
    assert np.isfinite(tape.gradient(values, logits)).all()


def test_unknown_sizes_until_run(rng):
    logits = np.float32(rng.normal(size=(2, 8, 4)))
    spec = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None, 4])]
    run = tf.function(losses.ctc, input_signature=spec)
    np.testing.assert_allclose(
        run([[1, 2], [3, 3]], logits), losses.ctc([[1, 2], [3, 3]], logits), rtol=1e-6
    )


def test_refusals():
    with pytest.raises(ValueError, match=r"labels \[b, n\] and logits \[b, t, k\]"):
        losses.ctc([1, 2], tf.zeros([2, 3, 4]))
    with pytest.raises(ValueError, match="from 1 to 4"):
        losses.ctc([[1, 4]], tf.zeros([1, 3, 4]))
