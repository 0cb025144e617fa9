"""Seeds by example: rows are dropped alike, however many replicas and parts share the batch."""

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from benchmarks.replicated.trainings import distance
from layers.regularization import random_bits
from tests.distributed.runs import dropped


def test_replicas_and_parts_drop_what_one_device_drops(mirrored):
    want = dropped()
    for strategy, parts in ((mirrored(2), 1), (mirrored(2), 2), (None, 4)):
        assert distance(dropped(strategy, parts), want) < 1e-6
    assert distance(dropped(seeds="replica"), want) > 1e-3


def test_replicas_that_are_traced_as_one_drop_the_same(mirrored, as_one):
    assert distance(dropped(mirrored(2), 2), dropped()) < 1e-6


@pytest.mark.parametrize("shape", [[4, 3000], [4, 30, 100]])
def test_bits_depend_on_the_seed_and_the_place_alone(shape):
    seed = tf.constant([[5, 1], [6, 1], [5, 2], [5, 1]])
    plain = random_bits(shape, seed).numpy().reshape(4, -1)
    xla = tf.function(random_bits, jit_compile=True)(tf.constant(shape), seed).numpy()
    np.testing.assert_array_equal(xla.reshape(4, -1), plain)
    np.testing.assert_array_equal(plain[0], plain[3])
    alone = random_bits([1 + 1, *shape[1:]], seed[1:3]).numpy().reshape(2, -1)
    np.testing.assert_array_equal(alone, plain[1:3])
    different = plain[:3]
    assert len(np.unique(different)) > different.size - 3  # of 2**32, a collision is rare
    ones = np.unpackbits(different.view(np.uint8), axis=1)
    assert abs(ones.mean() - 0.5) < 4 * 0.5 / np.sqrt(ones.size)
    both = np.corrcoef(ones)[np.triu_indices(3, 1)]  # other rows and steps: unrelated
    assert np.abs(both).max() < 4 / np.sqrt(ones.shape[1])
    assert abs((different >= 0.4 * 2**32).mean() - 0.6) < 4 * 0.5 / np.sqrt(different.size)


def test_what_examples_share_cannot_be_drawn_by_example():
    with pytest.raises(ValueError, match="shared by all examples"):
        L.regularization.dropout(tf.ones([2, 3]), 0.5, tf.zeros([2, 2], tf.int32), [1, 3])
