"""The validation split against Keras's, and what counts as a stream."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.split import is_indexed, is_stream, split


@given(n=st.integers(2, 60), share=st.floats(0.01, 0.99))
def test_keras_splits_at_the_same_row(n, share):
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split

    x, y, w = np.arange(n), np.arange(n) * 2, np.arange(n) * 3.0
    try:
        train, held = train_validation_split((x, {"a": y}, w), validation_split=share)
    except ValueError:
        with pytest.raises(ValueError, match=f"validation_split is {share} and there are {n}"):
            split(x, {"a": y}, w, share)
        return
    got = split(x, {"a": y}, w, share)
    for mine, theirs in zip(tf.nest.flatten(got), tf.nest.flatten((train, held)), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_parts_are_views_and_nones_stay():
    x = np.zeros((10, 2))
    (train, y, w), (held, *_) = split(x, None, None, 0.25)
    assert (train.shape, held.shape, y, w) == ((7, 2), (3, 2), None, None)
    assert train.base is x
    assert held.base is x
    assert split(tf.constant(x), None, None, 0.5)[1][0].shape == (5, 2)


def test_what_cannot_be_split():
    x = np.zeros(10)
    for share in (-0.1, 1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"validation_split is .*\(0, 1\)"):
            split(x, None, None, share)
    for share in ("0.1", True, None):
        with pytest.raises(TypeError, match="must be a number"):
            split(x, None, None, share)
    with pytest.raises(TypeError, match=r"cannot be split.*validation_data"):
        split(tf.data.Dataset.range(3), None, None, 0.5)
    with pytest.raises(ValueError, match=r"x: 10, y: 9"):
        split(x, x[:9], None, 0.5)


def test_what_is_a_stream():
    arrays = [np.zeros(3), tf.zeros(3), [1, 2], (np.zeros(3),), {"a": [1]}, tf.Variable([1.0])]
    streams = [tf.data.Dataset.range(3), iter([1]), lambda: 1, (i for i in ()), {1: 2}.values()]
    assert [is_stream(x) for x in arrays] == [False] * len(arrays)
    assert [is_stream(x) for x in streams] == [True] * len(streams)
    assert not is_indexed(np.zeros(3))
    assert not is_stream(3)
