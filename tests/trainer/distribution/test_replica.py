"""Splits of a batch, sums and gathers of the replicas that share it."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.distribution.replica import Replica, Split


@pytest.fixture(scope="module")
def two():
    names = [d.name for d in tf.config.list_logical_devices("CPU")[:2]]
    return tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())


@pytest.mark.parametrize(
    ("rows", "count", "parts", "want"),
    [
        (8, 4, 1, [(2, 2, 2, 2)]),
        (10, 4, 1, [(3, 3, 2, 2)]),
        (4, 4, 1, [(1, 1, 1, 1)]),
        (3, 4, 1, []),  # too few: each computes them all
        (8, 2, 2, [(2, 2), (2, 2)]),  # part by part
        (10, 2, 3, [(2, 2), (2, 2), (1, 1)]),
        (8, 4, 4, [(2, 2, 2, 2)]),  # parts of 2 cannot be shared by 4
    ],
)
def test_rows_are_shared_in_order_and_evenly(rows, count, parts, want):
    batch = {"x": tf.range(rows), "scalar": tf.constant(3)}
    split = Split.of(batch, count, parts)
    assert list(split.parts) == want
    shares = [split.take(batch, i)["x"].numpy() for i in range(count)]
    if not want:
        assert all(share.tolist() == list(range(rows)) for share in shares)
        return
    assert sorted(np.concatenate(shares)) == list(range(rows))
    first = 0
    for at, sizes in enumerate(want):  # part after part, replica after replica
        for i, size in enumerate(sizes):
            begin = sum(part[i] for part in want[:at])
            assert shares[i][begin : begin + size].tolist() == list(range(first, first + size))
            first += size


def test_a_short_batch_that_parts_cannot_share_is_computed_whole():
    assert Split.of(tf.zeros([5]), 2, 4, full=8).parts == ()
    assert Split.of(tf.zeros([5]), 2, 4).parts == ((3, 2),)


def test_spans_are_the_rows_that_are_taken():
    split = Split.of_rows(11, 2, 3)
    for i in range(2):
        taken = split.take(tf.range(11), i).numpy().tolist()
        assert taken == [row for begin, end in split.spans(i) for row in range(begin, end)]


def test_tensors_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="share a batch by rows"):
        Split.of((tf.zeros([4]), tf.zeros([5])), 2)


def _each(strategy, split, fn, *args):
    """`fn(replica, share)` on each replica, compiled; what the replicas give."""

    @tf.function(autograph=False)
    def run(*args):
        shares = [[split.take(a, i) for a in args] for i in range(2)]

        def one():
            context = tf.distribute.get_replica_context()
            index = int(tf.get_static_value(context.replica_id_in_sync_group))
            return fn(Replica(2, index, split), *shares[index])

        return strategy.run(one)

    found = run(*args)
    return tf.nest.map_structure(strategy.experimental_local_results, found)


def test_sums_are_the_same_on_each_and_differentiable(two):
    x = tf.constant([1.0, 2.0, 4.0, 8.0, 16.0])

    def fn(replica, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = replica.sum({"a": tf.reduce_sum(x), "none": None, "n": tf.size(x)})
            value = total["a"] ** 2 * (replica.index + 1.0)
        return {**total, "none": tf.zeros([]), "g": tape.gradient(value, x)[0]}

    found = _each(two, Split.of(x, 2), fn, x)
    assert [float(v) for v in found["a"]] == [31.0, 31.0]
    assert [int(v) for v in found["n"]] == [5, 5]
    # Each replica's value counts: 2 * 31 * (1 + 2).
    assert [float(v) for v in found["g"]] == [186.0, 186.0]


def test_sparse_gradients_are_added(two):
    def fn(replica, rows):
        values = tf.ones([rows.shape[0], 1]) * (replica.index + 1.0)
        return tf.convert_to_tensor(
            replica.sum(tf.IndexedSlices(values, rows, tf.constant([3, 1])))
        )

    rows = tf.constant([0, 1, 1])
    for dense in _each(two, Split.of(rows, 2), fn, rows):
        assert dense.numpy().ravel().tolist() == [1.0, 3.0, 0.0]


def test_gradients_travel_in_bfloat16_within_the_stated_error(two):
    rng = np.random.default_rng(0)
    own = rng.normal(size=(2, 3000)).astype("float32")
    split = Split.of_rows(2, 2)

    def fn(replica, rows):
        sparse = tf.IndexedSlices(
            tf.ones([1, 1]), tf.constant([replica.index]), tf.constant([2, 1])
        )
        gradients = [tf.constant(own[replica.index]), None, tf.constant([1 / 3]), sparse]
        light = Replica(2, replica.index, split, travel=tf.bfloat16)
        dense, none, short, sparse = light.add_gradients(gradients, tf.constant(1 / 3))[0]
        assert none is None
        assert dense.dtype == tf.float32
        return dense, short, tf.convert_to_tensor(sparse)

    rows = tf.zeros([2])
    dense, short, sparse = (
        [v.numpy() for v in each] for each in _each(two, Split.of(rows, 2), fn, rows)
    )
    np.testing.assert_array_equal(dense[0], dense[1])
    error = np.abs(dense[0] - own.sum(0))
    assert (error <= 2 / 256 * np.abs(own).sum(0)).all()
    assert error.max() > 1e-4  # it is bfloat16 that travelled
    np.testing.assert_allclose(short[0], [2 / 3], rtol=1e-7)
    assert sparse[0].ravel().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("parts", [1, 2])
def test_gather_gives_rows_in_the_order_of_the_batch_and_gradients_to_their_owner(two, parts):
    x = tf.reshape(tf.range(14.0), [7, 2])
    split = Split.of(x, 2, parts)
    assert len(split.parts) == parts
    weights = tf.range(1.0, 8.0)[:, None]

    def fn(replica, own):
        with tf.GradientTape() as tape:
            tape.watch(own)
            everything = replica.gather(own)
            value = tf.reduce_sum(everything * weights)
        return everything, tf.pad(tape.gradient(value, own), [[0, 4 - own.shape[0]], [0, 0]])

    everything, gradients = _each(two, split, fn, x)
    for found in everything:
        np.testing.assert_array_equal(found, x)
    # Both replicas' values depend on each row: its weight counts twice.
    for i, gradient in enumerate(gradients):
        np.testing.assert_array_equal(
            np.trim_zeros(gradient[:, 0].numpy()), 2 * split.take(weights, i)[:, 0]
        )


def test_gather_of_selected_rows_is_refused():
    with pytest.raises(ValueError, match="one row for each of this replica's examples"):
        Replica(2, 0, Split.of(tf.zeros([4]), 2)).gather(tf.zeros([3]))


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64, tf.float32])
def test_a_sum_keeps_its_dtype_where_each_replica_has_the_whole_batch(dtype, two):
    """TensorFlow's mean of integers is float64: the end of an epoch alone would be of another."""

    def fn(replica, x):
        return replica.sum(x[0])

    for found in _each(two, Split(()), fn, tf.constant([7], dtype)):
        assert found.dtype == dtype and found.numpy() == 7
