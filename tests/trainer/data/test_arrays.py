"""Arrays: every row once an epoch, resident = chunked = compiled, one compilation for all."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.arrays import LargeArrays, ResidentArrays, default_budget
from trainer.random import permutation

KINDS = {"resident": ResidentArrays, "large": LargeArrays}


@pytest.mark.parametrize("kind", KINDS)
@given(
    n=st.integers(1, 40),
    size=st.integers(1, 12),
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    skip=st.integers(0, 45),
    shuffle=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_each_row_comes_once_in_the_order_of_the_epoch(
    kind, read, rows, n, size, limits, skip, shuffle, epoch
):
    x, y = rows(n)
    source = KINDS[kind]((x, y), n, size, shuffle=shuffle, seed=7)
    assert source.steps_per_epoch == -(-n // size)
    batches, segments = read(source, epoch, skip, limits)
    order = permutation(7, epoch, n) if shuffle else np.arange(n)
    expected = [order[i : i + size] for i in range(skip * size, n, size)]
    assert len(batches) == len(expected)
    for (bx, by), index in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(by, y[index])
        np.testing.assert_array_equal(bx, x[index])
    assert [s.last for s in segments] == [False] * (len(segments) - 1) + [True] * bool(segments)
    source.close()


@pytest.mark.parametrize("shuffle", [False, True])
def test_resident_equals_large_bit_for_bit_for_every_dtype(read, same, shuffle):
    rng = np.random.default_rng(0)
    n = 23
    batch = {
        "doubles": rng.normal(size=(n, 2)),
        "bytes": rng.integers(0, 255, (n, 4, 4), dtype=np.uint8),
        "labels": (rng.integers(0, 9, n), [rng.normal(size=n).astype(np.float16)]),
        "flags": rng.normal(size=n) > 0,
        "complex": rng.normal(size=(n, 2)) + 1j,
        "words": np.array([f"w{i}é" for i in range(n)]),
        "tensor": tf.constant(rng.normal(size=(n, 3)), tf.bfloat16),
        "strided": rng.normal(size=(2 * n, 5)).astype(np.float32)[::2, ::-1],
    }
    resident, _ = read(ResidentArrays(batch, n, 5, shuffle=shuffle, seed=1))
    large, _ = read(LargeArrays(batch, n, 5, shuffle=shuffle, seed=1))
    same(resident, large)
    assert resident[0]["doubles"].dtype == np.float32
    assert resident[0]["bytes"].dtype == np.uint8


class Watched(np.ndarray):
    """Notes which rows are read in order."""

    seen: set = set()

    def __getitem__(self, rows):
        self.seen.update(range(*rows.indices(len(self))))
        return np.asarray(self)[rows]


@pytest.mark.parametrize("shuffle", [False, True])
def test_of_large_arrays_only_ones_own_rows_are_read(read, shuffle):
    x = np.arange(1, 24).reshape(23, 1).view(Watched)
    spans = {5: [(1, 2), (3, 5)], 3: [(0, 1)]}
    everything, _ = read(LargeArrays(x, 23, 5, shuffle=shuffle, seed=1))
    x.seen.clear()
    own, _ = read(LargeArrays(x, 23, 5, shuffle=shuffle, seed=1, own=spans.__getitem__))
    if not shuffle:
        assert x.seen == {r for r in range(20) if r % 5 in (1, 3, 4)} | {20}
    for all_rows, found in zip(everything, own, strict=True):
        wanted = np.zeros(len(found), bool)
        for begin, end in spans[len(found)]:
            wanted[begin:end] = True
        np.testing.assert_array_equal(found[wanted], all_rows[wanted])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_fetch_compiles_once_for_all_limits_starts_and_epochs(kind, rows, shuffle):
    x, y = rows(50)
    source = KINDS[kind]((x, y), 50, 8, shuffle=shuffle, seed=3)
    traces = []

    def total(args, steps, size):
        traces.append(size)

        def body(i, x_sum, y_sum):
            bx, by = source.fetch(args, i, size)
            weight = tf.range(1, size + 1)  # so that the order of the rows counts
            y_sum += tf.reduce_sum(by * tf.cast(weight, by.dtype)) * tf.cast(i + 1, by.dtype)
            return i + 1, x_sum + tf.reduce_sum(bx), y_sum

        zeros = (tf.constant(0), tf.constant(0.0), tf.constant(0, tf.int64))
        return tf.while_loop(lambda i, *_: i < steps, body, zeros)[1:]

    compiled = {
        size: tf.function(
            lambda args, steps, size=size: total(args, steps, size),
            jit_compile=True,
            autograph=False,
        )
        for size in (8, 2)
    }
    plain = []
    for epoch, limit in ((0, 1), (1, 3), (2, 100)):
        reader = source.reader(epoch)
        while (segment := reader.take(limit)) is not None:
            steps = tf.constant(segment.steps)
            got = compiled[segment.rows](segment.args, steps)
            plain.append((got, total(segment.args, steps, segment.rows)))
        reader.close()
    for got, wanted in plain:
        assert got[1] == wanted[1]
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-6)
    assert len(traces) - len(plain) == 2  # one for full steps, one for the ragged last


def test_nothing_but_values_differs_between_segments_args(rows):
    """XLA compiles anew for each new shape or dtype of an argument: one set a row count."""
    x, y = rows(50)
    for kind in KINDS.values():
        for shuffle in (False, True):
            source = kind((x, y), 50, 8, shuffle=shuffle, seed=3)
            seen = set()
            for epoch in range(2):
                reader = source.reader(epoch)
                while (segment := reader.take(epoch + 2)) is not None:
                    specs = tf.nest.map_structure(tf.type_spec_from_value, segment.args)
                    seen.add((segment.rows, str(specs)))
                reader.close()
            assert len(seen) == 2


def test_slices_of_one_compiled_program_agree_whatever_the_start(rows):
    """The start is data, not a compile-time constant."""
    x, y = rows(64)
    source = ResidentArrays((x, y), 64, 4, shuffle=False, seed=0)
    fn = tf.function(lambda args, i: source.fetch(args, i, 4)[1], jit_compile=True)
    reader = source.reader(0)
    for k in range(16):
        np.testing.assert_array_equal(fn(reader.take(1).args, tf.constant(0)), y[4 * k : 4 * k + 4])
    text = fn.experimental_get_compiler_ir(source.reader(0, 3).take(1).args, tf.constant(0))()
    assert (
        text == fn.experimental_get_compiler_ir(source.reader(0, 9).take(1).args, tf.constant(0))()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_example_gives_the_first_rows_and_fewer_if_there_are_fewer(kind, rows):
    x, y = rows(7)
    for shuffle in (False, True):
        source = KINDS[kind]((x, y), 7, 3, shuffle=shuffle, seed=0)
        for count in (1, 3, 5, 9):
            ex, ey = source.example(count)
            assert len(ex) == min(count, 7)
            np.testing.assert_array_equal(ey, y[:count])


def test_the_users_array_may_change_afterwards(read, rows):
    x, y = rows(8)
    source = ResidentArrays((x, y), 8, 4, shuffle=False, seed=0)
    x[:] = -1
    assert (read(source)[0][0][0] >= 0).all()


def test_a_memory_mapped_file_is_read_by_chunks(tmp_path, read):
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=(30, 2))
    mapped[:] = np.arange(60).reshape(30, 2)
    batches, _ = read(LargeArrays(mapped, 30, 8, shuffle=False, seed=0))
    np.testing.assert_array_equal(np.concatenate(batches), mapped.astype(np.float32))


def test_closed_reader_gives_nothing_and_limit_must_be_positive(rows):
    x, _ = rows(8)
    for kind in KINDS.values():
        source = kind(x, 8, 4, shuffle=False, seed=0)
        reader = source.reader(0)
        with pytest.raises(ValueError, match="limit is 0"):
            reader.take(0)
        reader.close()
        reader.close()
        assert reader.take(1) is None
        source.close()


def test_the_budget_is_a_part_of_the_memory_at_most_2_gib():
    assert 0 < default_budget() <= 2 << 30
