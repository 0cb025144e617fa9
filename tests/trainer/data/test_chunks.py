"""Chunks: a fixed capacity, cut where shapes change, the same steps however they are taken."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.data import chunks
from trainer.data.chunks import Cursor, capacity_of, fetch_step, stack

SPEC = (tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None], tf.int64))


def run(first, count, rows=2, width=3):
    """`count` batches numbered from `first`."""
    numbers = np.arange(first, first + count)
    x = np.broadcast_to(numbers[:, None, None], (count, rows, width)).astype(np.float64)
    return [x, np.broadcast_to(numbers[:, None], (count, rows))]


@given(
    counts=st.lists(st.tuples(st.integers(1, 7), st.integers(2, 3)), min_size=1, max_size=6),
    capacity=st.integers(1, 5),
    hungry=st.lists(st.booleans(), min_size=1, max_size=5),
    limit=st.integers(1, 6),
)
def test_steps_survive_any_cut(counts, capacity, hungry, limit):
    runs, first = [], 0
    for count, rows in counts:
        runs.append(run(first, count, rows))
        first += count
    asked = iter(hungry * 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MOST_STEPS", capacity)
        made = list(stack(runs, SPEC, lambda: next(asked)))
    for chunk in made:
        assert 1 <= chunk.steps <= capacity
        assert chunk.stacked[0].shape == (capacity, chunk.rows, 3)
        assert chunk.stacked[0].dtype == tf.float32
    assert [chunk.last for chunk in made] == [False] * (len(made) - 1) + [True]
    cursor = Cursor(lambda hungry: iter(made), "x")
    seen = []
    while (segment := cursor.take(limit)) is not None:
        assert segment.steps <= limit
        for i in range(segment.steps):
            x, y = fetch_step(segment.args, tf.constant(i), segment.rows)
            assert (x.numpy() == y[0].numpy()).all()
            seen.append(int(y[0]))
    assert seen == list(range(first))
    assert cursor.taken == first


def test_capacity_is_about_16_mib_and_1_to_512_steps():
    assert capacity_of(100_352) == 167
    assert capacity_of(1 << 30) == 1
    assert capacity_of(4) == capacity_of(0) == 512
    assert capacity_of(4, most=10) == 10


def test_a_short_source_has_small_chunks():
    (chunk,) = stack([run(0, 2)], SPEC, lambda: False, most=3)
    assert chunk.stacked[0].shape[0] == 3


def test_what_was_stacked_before_an_error_is_given():
    def runs():
        yield run(0, 3)
        raise OSError("gone")

    made = stack(runs(), SPEC, lambda: False)
    assert (first := next(made)).steps == 3
    assert not first.last
    with pytest.raises(OSError, match="gone"):
        next(made)


def test_fetch_is_the_same_plain_and_compiled():
    (chunk,) = stack([run(0, 5)], SPEC, lambda: False)
    compiled = tf.function(lambda args, i: fetch_step(args, i, 2), jit_compile=True)
    for start, i in ((0, 0), (0, 4), (3, 1)):
        args = (chunk.stacked, tf.constant(start))
        for a, b in zip(fetch_step(args, i, 2), compiled(args, tf.constant(i)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert compiled.experimental_get_tracing_count() == 1
