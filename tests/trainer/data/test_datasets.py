"""tf.data pulls: grouped or not, batches come as the dataset gives them."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.data.datasets import DatasetPull, Passes, drop


def flat(runs):
    """Every batch's leaves."""
    return [[leaf[i] for leaf in run] for run in runs for i in range(len(run[0]))]


def make(kind):
    x = np.arange(70 * 3, dtype=np.float64).reshape(70, 3)
    base = tf.data.Dataset.from_tensor_slices(
        {"x": x, "y": np.arange(70), "s": [str(i) for i in range(70)]}
    )
    if kind == "static":
        return base.batch(3, drop_remainder=True)
    if kind == "ragged end":
        return base.batch(3)
    if kind == "lengths":
        return base.batch(3).map(lambda b: {**b, "x": b["x"][:, : 1 + b["y"][0] % 3]})
    if kind == "large":
        return base.batch(3).map(
            lambda b: {**b, "x": tf.zeros([3, 200_000])[: tf.shape(b["y"])[0]]}
        )
    return base.batch(3).map(
        lambda b: {**b, "x": tf.numpy_function(lambda a: a, [b["x"]], tf.float64)}
    )


@pytest.mark.parametrize("kind", ["static", "ragged end", "lengths", "large", "no rank"])
def test_groups_are_cut_into_the_batches_of_the_dataset(kind):
    dataset = make(kind)
    pull = DatasetPull(dataset, None, "x")
    for start in (0, 0, 5):
        got = flat(pull.runs(0, start))
        wanted = [tf.nest.flatten(b) for b in dataset.skip(start).as_numpy_iterator()]
        assert len(got) == len(wanted)
        for a, b in zip(got, wanted, strict=True):
            for p, q in zip(a, b, strict=True):
                assert p.shape == q.shape
                np.testing.assert_array_equal(p, q)
    assert pull.spec["x"].dtype == tf.float32
    assert pull.batches in (23, 24)


def test_cardinality_says_how_many_and_whether_it_ends():
    dataset = tf.data.Dataset.range(10).batch(3)
    assert (DatasetPull(dataset, None, "x").batches, DatasetPull(dataset, None, "x").once) == (
        4,
        False,
    )
    endless = DatasetPull(dataset.repeat(), None, "x")
    assert (endless.batches, endless.infinite, endless.once) == (None, True, True)
    unknown = DatasetPull(dataset.filter(lambda b: True), None, "x")
    assert (unknown.batches, unknown.infinite) == (None, False)


def test_what_was_looked_at_comes_again_and_is_made_once():
    made = []

    def generate():
        made.append(0)
        yield from ([i] for i in range(3))

    dataset = tf.data.Dataset.from_generator(
        generate, output_signature=tf.TensorSpec([1], tf.int32)
    )
    pull = DatasetPull(dataset, None, "x")
    assert pull.first()[0][0] == pull.first()[0][0] == [0]
    assert [leaf[0] for (leaf,) in flat(pull.runs(0, 0))] == [0, 1, 2]
    assert len(made) == 1


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        (tf.data.Dataset.range(3), ValueError, r"x of the dataset is a scalar.*x.batch\(32\)"),
        (
            tf.data.Dataset.from_tensors((np.ones(3), np.ones(4))),
            ValueError,
            r"x\[0\]: 3, x\[1\]: 4",
        ),
        (tf.data.Dataset.from_tensors(tf.sparse.eye(3)), TypeError, "SparseTensor.*to_dense"),
        (tf.data.Dataset.from_tensors(tf.ragged.constant([[1]])), TypeError, "RaggedTensor"),
        (tf.data.Dataset.range(3).batch(2).take(0), ValueError, "without batches"),
    ],
)
def test_datasets_that_are_refused(dataset, error, message):
    with pytest.raises(error, match=message):
        DatasetPull(dataset, None, "x")


def test_batches_whose_components_differ_in_rows_are_refused():
    dataset = tf.data.Dataset.from_tensors((np.ones(3), np.ones(4))).map(
        lambda a, b: tf.numpy_function(lambda p, q: (p, q), [a, b], [tf.float64, tf.float64])
    )
    with pytest.raises(ValueError, match=r"x\[0\]: 3, x\[1\]: 4"):
        list(DatasetPull(dataset, None, "x").runs(0, 0))


def test_an_empty_dataset_of_unknown_length_says_so_when_looked_at():
    dataset = tf.data.Dataset.range(4).batch(2).filter(lambda b: False)
    with pytest.raises(ValueError, match="gave no batch"):
        DatasetPull(dataset, None, "x").first()


def test_drop_leaves_out_batches_across_runs():
    runs = [[np.arange(3)], [np.arange(3, 5)]]
    for count in range(7):
        assert [i for (leaf,) in drop(runs, count) for i in leaf] == list(range(count, 5))


def loops(dataset, n):
    """What the first `n` loops over a new dataset give."""
    return [[int(i) for i in dataset.as_numpy_iterator()] for _ in range(n)]


def test_pass_e_is_the_e_th_loop_over_a_new_dataset_whatever_was_read_before():
    def make():
        return tf.data.Dataset.range(9).shuffle(9, seed=1)

    wanted = loops(make(), 4)
    assert len({str(order) for order in wanted}) == 4
    dataset = make()
    loops(dataset, 2)  # the user's
    for order in ([0, 1, 2, 3], [3], [1, 3], [2, 1, 1, 0]):
        passes = Passes(dataset)
        assert [loops(passes.open(epoch), 1)[0] for epoch in order] == [wanted[e] for e in order]


@pytest.mark.parametrize("kind", ["repeat", "concatenate"])
def test_a_pass_that_begins_its_shuffle_more_than_once_is_a_function_of_its_number(kind):
    part = tf.data.Dataset.range(9).shuffle(9, seed=1)
    dataset = part.repeat(2) if kind == "repeat" else part.concatenate(part.map(lambda i: 9 + i))
    first, other = Passes(dataset), Passes(dataset)
    wanted = [loops(first.open(epoch), 1)[0] for epoch in range(3)]
    assert len({str(order[half : half + 9]) for order in wanted for half in (0, 9)}) == 6
    next(iter(other.open(1)))  # left after one element
    assert [loops(other.open(epoch), 1)[0] for epoch in (2, 0)] == [wanted[2], wanted[0]]


def test_passes_that_are_alike_are_read_from_the_dataset_itself():
    dataset = tf.data.Dataset.range(9).shuffle(9, seed=1, reshuffle_each_iteration=False)
    passes = Passes(dataset)
    assert passes.alike
    assert passes.open(5) is dataset


def test_a_pipeline_that_cannot_be_copied_is_read_as_tensorflow_does():
    """A variable is the user's, who may change it: a copy would not see that."""
    factor = tf.Variable(1, dtype=tf.int64)

    def make():
        return tf.data.Dataset.range(9).shuffle(9, seed=1).map(lambda i: i * factor)

    wanted = loops(make(), 3)
    passes = Passes(make())
    assert loops(passes.open(1), 1)[0] == wanted[1]
    factor.assign(2)
    assert loops(passes.open(2), 1)[0] == [2 * i for i in wanted[2]]


def test_the_first_run_is_that_of_pass_0_also_when_asked_for_late():
    def make():
        return DatasetPull(tf.data.Dataset.range(9).shuffle(9, seed=1).batch(3), None, "x")

    def read(runs):
        return [leaf.tolist() for [leaf] in flat(runs)]

    early, late = make(), make()
    passes = [read(make().runs(epoch, 0)) for epoch in range(3)]
    assert read([early.first()]) == passes[0]
    assert read(late.runs(2, 0)) == passes[2]
    assert read([late.first()]) == passes[0]
    assert read(late.runs(1, 1)) == passes[1][1:]
