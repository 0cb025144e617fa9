"""Readers that turn segments back into batches, plain and compiled."""

import pytest


@pytest.fixture(scope="session")
def read():
    """`read(source, epoch=0, skip=0, limits=(100,))`: every batch of an epoch, and the segments."""
    import tensorflow as tf

    def run(source, epoch=0, skip=0, limits=(1000,), most=None, taken=None):
        reader = source.reader(epoch, skip, skip if taken is None else taken)
        batches, segments = [], []
        while most is None or len(batches) < most:
            limit = limits[len(segments) % len(limits)]
            segment = reader.take(limit if most is None else min(limit, most - len(batches)))
            if segment is None:
                break
            assert 1 <= segment.steps <= limit
            segments.append(segment)
            for i in range(segment.steps):
                batch = source.fetch(segment.args, tf.constant(i), segment.rows)
                batches.append(tf.nest.map_structure(lambda t: t.numpy(), batch))
                assert all(len(leaf) == segment.rows for leaf in tf.nest.flatten(batches[-1]))
        reader.close()
        return batches, segments

    return run


@pytest.fixture(scope="session")
def same():
    """`same(a, b)`: two lists of batches are equal, bit for bit, dtypes and structure included."""
    import numpy as np
    import tensorflow as tf

    def check(a, b):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            tf.nest.assert_same_structure(left, right)
            for p, q in zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True):
                assert p.dtype == q.dtype
                np.testing.assert_array_equal(p, q)

    return check


@pytest.fixture(scope="session")
def rows():
    """`rows(n)`: x [n, 3] and y [n] that tell which row they are."""
    import numpy as np

    def make(n):
        return np.arange(3 * n, dtype=np.float32).reshape(n, 3), np.arange(n)

    return make


@pytest.fixture(scope="session")
def batched():
    """`batched(x, y, size)`: their consecutive batches, the last one ragged."""

    def make(x, y, size):
        return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]

    return make
