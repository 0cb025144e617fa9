"""Streams of every kind give the batches that arrays give, and end and restart as they should."""

import gc
import itertools
import os
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.source import open_source
from trainer.data.streams import join_runs


class Indexed:
    """What `keras.utils.PyDataset` looks like."""

    def __init__(self, batches, workers=1):
        self.batches, self.workers, self.ends = batches, workers, 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

    def on_epoch_end(self):
        self.ends += 1


def dataset(x, y, size):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(size)


STREAMS = {
    "dataset": lambda x, y, size, parts: dataset(x, y, size),
    "function of a dataset": lambda x, y, size, parts: lambda: dataset(x, y, size),
    "iterator": lambda x, y, size, parts: iter(parts),
    "iterable": lambda x, y, size, parts: dict(enumerate(parts)).values(),
    "function of a generator": lambda x, y, size, parts: lambda: (p for p in parts),
    "indexed": lambda x, y, size, parts: Indexed(parts),
    "indexed, by threads": lambda x, y, size, parts: Indexed(parts, workers=3),
}


def alive():
    return [t for t in threading.enumerate() if t.name.startswith("trainer-data")]


@pytest.mark.parametrize("kind", STREAMS)
@given(
    n=st.integers(1, 40),
    size=st.integers(1, 9),
    join=st.integers(1, 3),
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    skip=st.integers(0, 12),
    looked=st.booleans(),
)
def test_a_stream_gives_what_arrays_give(
    kind, read, same, rows, batched, n, size, join, limits, skip, looked
):
    x, y = rows(n)
    wanted, _ = read(open_source(x, y, batch_size=size, join=join), 0, skip)
    source = open_source(STREAMS[kind](x, y, size, batched(x, y, size)), join=join)
    if looked:
        np.testing.assert_array_equal(source.example(2)[1], y[: min(2, size, n)])
    batches, segments = read(source, 0, skip, limits)
    same(batches, wanted)
    assert [s.last for s in segments] == [False] * (len(segments) - 1) + [True] * bool(segments)
    assert source.steps_per_epoch in (None, -(-n // (size * join)))
    assert not source.infinite
    source.close()


@pytest.mark.parametrize("kind", sorted(set(STREAMS) - {"iterator"}))
def test_a_stream_that_can_be_read_again_restarts_each_epoch(kind, read, same, rows, batched):
    x, y = rows(20)
    source = open_source(STREAMS[kind](x, y, 6, batched(x, y, 6)))
    wanted, _ = read(source, 0)
    assert len(wanted) == 4
    read(source, 1, most=2)  # left in the middle
    same(read(source, 2)[0], wanted)


def test_an_iterator_goes_on_and_then_says_that_it_is_over(read, rows, batched):
    x, y = rows(20)
    source = open_source(iter(batched(x, y, 3)))
    seen = [read(source, epoch, most=3)[0] for epoch in range(2)]
    seen.append(read(source, 2)[0])
    np.testing.assert_array_equal(np.concatenate([b[1] for part in seen for b in part]), y)
    with pytest.raises(ValueError, match=r"read only once and ended after 7 steps.*function"):
        source.reader(3)


@pytest.mark.parametrize("kind", ["dataset", "generator", "indexed"])
def test_an_infinite_stream_loses_no_batch_between_epochs(kind, read):
    class Endless(Indexed):
        num_batches = None

        def __getitem__(self, index):
            return np.array([index, index])

    stream = {
        "dataset": tf.data.Dataset.counter().map(lambda i: tf.stack([i, i])),
        "generator": (np.array([i, i]) for i in itertools.count()),
        "indexed": Endless([]),
    }[kind]
    source = open_source(stream)
    assert source.infinite == (kind != "generator")
    assert source.steps_per_epoch is None
    assert source.example(1).numpy() == [0]
    seen = [b[0] for epoch in range(4) for b in read(source, epoch, 0, (2, 1), most=5)[0]]
    assert seen == list(range(20))
    assert alive()
    source.close()
    assert not alive()


def test_a_fresh_infinite_stream_skips_what_an_earlier_run_did(read):
    source = open_source(tf.data.Dataset.counter().batch(2), join=2)
    batches, _ = read(source, 3, skip=1, taken=5, most=2)
    np.testing.assert_array_equal(batches, [[20, 21, 22, 23], [24, 25, 26, 27]])


@pytest.mark.parametrize("kind", ["dataset", "indexed", "iterator"])
def test_what_is_pulled_once_is_placed_by_what_was_taken_of_it_alone(kind, read):
    def make():
        if kind == "dataset":
            return tf.data.Dataset.counter().batch(2)
        if kind == "iterator":
            return (np.array([2 * i, 2 * i + 1]) for i in itertools.count())

        class Endless(Indexed):
            num_batches = None

            def __getitem__(self, index):
                return np.array([2 * index, 2 * index + 1])

        return Endless([])

    source = open_source(make(), join=2)
    assert source.once
    read(source, 0, most=5, taken=0)
    read(source, 1, most=3, taken=999)  # only the first reader is placed
    wanted, _ = read(source, 2, most=2, taken=0)
    again = open_source(make(), join=2)
    again.example(3)
    got, _ = read(again, 2, skip=1, taken=8, most=2)
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(got[0], [32, 33, 34, 35])
    source.close()
    again.close()


def test_a_seeded_shuffle_has_the_order_of_its_epoch_after_a_restart(read, same, rows):
    def make():
        tf.random.set_seed(0)
        x, y = rows(30)
        return open_source(tf.data.Dataset.from_tensor_slices((x, y)).shuffle(30, seed=5).batch(4))

    first = make()
    epochs = [read(first, epoch)[0] for epoch in range(3)]
    assert not np.array_equal(epochs[0][0][1], epochs[1][0][1])
    for looked in (False, True):
        again = make()
        if looked:
            again.example(1)
        same(read(again, 2, skip=3)[0], epochs[2][3:])


def test_indexed_batches_are_shuffled_and_told_of_their_epochs(read, rows, batched):
    x, y = rows(40)
    data = Indexed(batched(x, y, 4))
    source = open_source(data, shuffle=True, seed=2)
    orders = [[b[1][0] for b in read(source, epoch)[0]] for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[1]) == list(range(0, 40, 4))
    assert data.ends == 3


def test_a_keras_pydataset_is_read_as_such(read, same, rows, batched):
    import keras

    x, y = rows(14)

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return batched(x, y, 4)[index]

    same(read(open_source(Data(workers=1)))[0], read(open_source(x, y, batch_size=4))[0])


def test_batches_of_varying_shapes_come_as_they_are(read, same):
    rng = np.random.default_rng(0)
    shapes = [(4, 7), (4, 7), (4, 9), (2, 9), (4, 7), (4, 7), (4, 7), (1, 3)]
    parts = [(rng.integers(0, 99, s), rng.normal(size=s[0]).astype("float32")) for s in shapes]
    kinds = (
        parts,
        lambda: tf.data.Dataset.from_generator(
            lambda: iter(parts),
            output_signature=(
                tf.TensorSpec([None, None], tf.int64),
                tf.TensorSpec([None], tf.float32),
            ),
        ),
    )
    for kind in (iter(kinds[0]), kinds[1]):
        batches, segments = read(open_source(kind))
        same(batches, parts)
        assert [s.rows for s in segments if s.rows != 4] == [2, 1]


def test_batches_keep_their_structure_and_lists_and_nones_are_read_as_keras_does(read, same):
    x, y = np.ones((2, 3), np.float32), np.zeros(2)
    cases = [
        ({"a": x, "b": (y, x)}, {"a": x, "b": (y.astype("float32"), x)}),
        ([x, x], (x, x)),
        ((x, x, None), (x, x)),
        (x, x),
        (tf.constant(x), x),
        (np.array(["a", "b"]), np.array([b"a", b"b"], object)),
    ]
    for given_, wanted in cases:
        same(read(open_source(iter([given_, given_])))[0], [wanted, wanted])


def test_class_weights_of_a_stream_equal_those_of_arrays(read, same, batched):
    x, y = np.ones((11, 2), np.float32), np.arange(11) % 3
    by_class = {0: 1.0, 1: 2.0, 2: 0.5}
    for join in (1, 2):
        arrays = open_source(x, y, batch_size=4, join=join, class_weight=by_class)
        stream = dataset(x, y, 4)
        for data in (stream, iter(batched(x, y, 4))):
            source = open_source(data, join=join, class_weight=by_class)
            assert str(source.element_spec) == str(arrays.element_spec)
            assert source.example(3)[2].numpy().tolist() == [1.0, 2.0, 0.5]
            same(read(source)[0], read(arrays)[0])


def test_an_error_in_the_thread_is_raised_with_its_cause_after_the_good_steps(rows):
    x, y = rows(4)

    def data():
        yield x, y
        yield x, y
        raise KeyError("boom")

    reader = open_source(data).reader(0)
    good = 0
    with pytest.raises(RuntimeError, match=r"Reading x failed after 2 steps.*KeyError") as caught:
        while (segment := reader.take(10)) is not None:
            assert not segment.last
            good += segment.steps
    assert good == 2
    assert isinstance(caught.value.__cause__, KeyError)
    assert reader.take(1) is None
    assert not alive()


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (lambda x, y: (x.astype(np.int32), y), r"x\[0\] of batch 1 has dtype int32, and float32"),
        (lambda x, y: (x,), r"Batch 1 of x has another structure.*\(\*,\) in place of \(\*, \*\)"),
        (lambda x, y: (x, y[:1]), r"different numbers of rows \(x\[0\]: 4, x\[1\]: 1\)"),
        (lambda x, y: (x, [None]), "NoneType"),
        (lambda x, y: (x, np.array(3)), r"different numbers of rows \(x\[0\]: 4, x\[1\]: none\)"),
    ],
)
def test_batches_that_do_not_fit_the_first_are_refused(read, rows, second, message):
    x, y = rows(4)
    source = open_source(iter([(x, y), second(x, y)]))
    with pytest.raises((ValueError, TypeError), match=message):
        read(source)


def test_joined_batches_must_agree_beyond_the_first_axis():
    runs = [[np.ones((1, 2, 3))], [np.ones((1, 2, 4))]]
    with pytest.raises(ValueError, match=r"shapes \(2, 3\), \(2, 4\).*accumulate=1"):
        list(join_runs(runs, 2))


def test_a_slow_stream_gives_its_first_steps_soon():
    made = []

    def slow():
        for i in range(100):
            made.append(i)
            yield np.array([i])
            time.sleep(0.01)

    source = open_source(slow)
    assert source.reader(0).take(100).steps < 50  # long before the stream's end
    assert len(made) < 50
    source.close()


def test_many_opens_leave_no_thread_and_no_memory(rows):
    x, y = rows(64)
    endless = dataset(x, y, 8).repeat()
    static = tf.data.Dataset.from_tensors((x, y)).repeat()

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cycle(i):
        for data in (static, itertools.repeat((x, y)), *([endless] if i % 10 == 0 else [])):
            source = open_source(data)
            source.reader(0).take(3)
            if i % 2:
                source.close()
        open_source(x, y, budget_bytes=0).reader(0).take(1)
        open_source(x, y).reader(0).take(1)

    for i in range(10):
        cycle(i)
    gc.collect()
    before = resident() if os.path.exists("/proc/self/statm") else 0
    for i in range(50):  # 205 sources
        cycle(i)
    gc.collect()
    end = time.monotonic() + 10
    while alive() and time.monotonic() < end:
        time.sleep(0.01)
    assert not alive()
    if before:
        assert resident() - before < 32 << 20  # two chunks; 205 would be 3 GB if they were filled


def test_close_ends_a_stream_amid_a_chunk():
    made = []

    def slow():
        for i in itertools.count():
            made.append(i)
            yield np.array([i])
            time.sleep(0.02)

    source = open_source(slow)
    reader = source.reader(0)
    reader.take(1)
    source.close()
    assert not alive()
    assert len(made) < 50  # not the 512 of a chunk


@pytest.mark.parametrize("kind", sorted(set(STREAMS) - {"iterator"}))
def test_segments_of_one_row_count_have_one_set_of_shapes(kind, rows, batched):
    """Each new shape of an argument would be traced and compiled anew."""
    x, y = rows(50)
    source = open_source(STREAMS[kind](x, y, 8, batched(x, y, 8)), join=2)
    seen = set()
    for epoch in range(3):
        reader = source.reader(epoch)
        while (segment := reader.take(epoch + 1)) is not None:
            specs = tf.nest.map_structure(tf.type_spec_from_value, segment.args)
            seen.add((segment.rows, str(specs)))
        reader.close()
    assert sorted(count for count, _ in seen) == [2, 16]
