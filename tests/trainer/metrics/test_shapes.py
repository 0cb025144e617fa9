"""How targets and predictions meet: Keras's rule for a missing last axis, nothing else."""

import pytest
import tensorflow as tf
from keras.src.losses.loss import squeeze_or_expand_to_same_rank

from trainer.metrics.shapes import labels_and_scores, onehot_and_scores, same_shape


@pytest.mark.parametrize(
    ("true", "pred"),
    [((4,), (4,)), ((4,), (4, 1)), ((4, 1), (4,)), ((4, 3), (4, 3, 1)), ((4, 3, 1), (4, 3))],
)
def test_meets_as_in_keras(true, pred):
    want = squeeze_or_expand_to_same_rank(tf.zeros(true), tf.zeros(pred))
    ours = same_shape(tf.zeros(true, tf.int32), tf.zeros(pred, tf.float16), "M")
    assert [t.shape for t in ours] == [t.shape for t in want]
    assert {t.dtype for t in ours} == {tf.float32}


def test_float64_stays():
    assert same_shape([1], tf.constant([1.0], tf.float64), "M")[1].dtype == tf.float64


def test_a_batch_of_unknown_size_is_accepted():
    spec = tf.TensorSpec([None, None]), tf.TensorSpec([None, 3])
    fn = tf.function(lambda a, b: same_shape(a, b, "M"), input_signature=spec, autograph=False)
    assert fn(tf.zeros([2, 3]), tf.zeros([2, 3]))[0].shape == (2, 3)


def test_labels_lose_their_column():
    labels, scores = labels_and_scores(tf.ones([4, 2, 1]), tf.zeros([4, 2, 5]), "M")
    assert (labels.shape, labels.dtype, scores.shape) == ((4, 2), tf.int32, (4, 2, 5))


def test_one_hot_targets_become_labels():
    labels, _ = onehot_and_scores(tf.one_hot([2, 0], 3), tf.zeros([2, 3]), "M")
    assert labels.numpy().tolist() == [2, 0]
