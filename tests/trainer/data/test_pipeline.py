"""The graph of a dataset: read whole, copied with shuffles that begin anew, nothing doubled."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.data import pipeline as module
from trainer.data.pipeline import may_reshuffle, read

D = tf.data.Dataset


def numbers(dataset):
    return [int(np.ravel(x)[0]) for x in dataset.as_numpy_iterator()]


def fresh(dataset, epoch=0):
    pipeline, why = read(dataset)
    assert why == ""
    return pipeline.fresh(epoch)


def test_a_copy_begins_anew_and_leaves_the_original_alone():
    wanted = [numbers(d) for d in [D.range(9).shuffle(9, seed=1)] for _ in range(3)]
    data = D.range(9).shuffle(9, seed=1)
    numbers(data)
    copy = fresh(data)
    assert [numbers(copy) for _ in range(3)] == wanted
    assert numbers(data) == wanted[1]


def test_another_epoch_has_other_orders_in_every_process():
    data = D.range(9).shuffle(9, seed=1).repeat(2)
    orders = [numbers(fresh(data, epoch)) for epoch in (0, 1, 2, 1)]
    assert orders[1] == orders[3]
    assert len({str(order) for order in orders}) == 3
    assert numbers(fresh(data)) == orders[0]


def test_copies_share_what_a_cache_keeps_and_the_arrays():
    calls = []

    def count(x):
        return tf.py_function(lambda v: (calls.append(1), v)[1], [x], tf.float32)

    array = np.random.default_rng(0).normal(size=(30, 1000)).astype("float32")
    data = D.from_tensor_slices(array).map(count).cache().shuffle(30, seed=1)
    assert sorted(numbers(fresh(data))) == sorted(numbers(data)) == sorted(numbers(fresh(data)))
    assert len(calls) == 30
    pipeline, _ = read(data)
    assert [t.nbytes for t in map(np.asarray, pipeline.large.values())] == [array.nbytes]
    held = data._input_dataset._input_dataset._input_dataset._tensors
    assert next(iter(pipeline.large.values())) is held[0]
    assert pipeline.graph.ByteSize() < 20_000
    assert read(data)[0] is pipeline


def test_strings_are_kept_in_the_graph():
    words = [f"{i:03}" * 300 for i in range(99)]
    data = D.from_tensor_slices(words).map(lambda word: tf.strings.substr(word, 0, 3))
    data = data.map(tf.strings.to_number).shuffle(99, seed=1)
    assert numbers(fresh(data)) == numbers(data)
    assert read(data)[0].large == {}


def test_a_large_constant_within_a_pipeline_is_kept_too():
    table = tf.range(100_000)
    data = D.range(9).map(lambda i: table[i]).shuffle(9, seed=1)
    assert sorted(numbers(fresh(data))) == list(range(9))
    assert len(read(data)[0].large) == 1


def test_a_dataset_that_is_used_twice_is_one():
    one = D.from_tensor_slices(np.arange(50_000)).shuffle(50, seed=1)
    data = D.zip(one, one).map(lambda a, b: a * 100_000 + b).take(20)
    assert numbers(fresh(data)) == numbers(data)


@pytest.mark.parametrize(
    "make",
    [
        lambda variable: D.range(9).shuffle(9, seed=1).map(lambda i: i + variable),
        lambda variable: D.range(9).shuffle(9, seed=1).map(lambda i: variable.assign_add(1)),
    ],
)
def test_a_pipeline_with_a_variable_is_not_copied(make):
    """The copy would have a variable of its own, which nobody can change."""
    assert fresh(make(tf.Variable(0, dtype=tf.int64))) is None


def test_what_may_reshuffle_is_told_without_the_graph():
    plain = D.from_tensor_slices(np.arange(9)).map(lambda i: i).repeat(2).batch(2).prefetch(1)
    shuffled = D.range(4).shuffle(4, seed=1)
    assert not may_reshuffle(plain)
    assert may_reshuffle(shuffled.batch(2))
    assert may_reshuffle(D.random(seed=1).take(3))
    assert may_reshuffle(D.range(2).flat_map(lambda i: shuffled))
    assert may_reshuffle(
        tf.data.experimental.from_variant(plain._variant_tensor, plain.element_spec)
    )


def test_steps_know_how_they_are_run():
    inner = D.range(8).shuffle(8, seed=1)
    data = (
        inner.map(lambda i: tf.random.uniform([], seed=1) + tf.cast(i, tf.float32))
        .cache()
        .interleave(
            lambda x: D.range(2).map(lambda j: tf.random.normal([], seed=2)), num_parallel_calls=2
        )
        .repeat(3)
        .concatenate(D.range(3).map(lambda i: 1.0).shuffle(7, seed=3))
        .batch(2)
    )
    steps = {}
    for step in read(data)[0].steps():
        steps.setdefault(step.op, []).append(step)
    first, second = steps["ShuffleDatasetV3"]
    assert (first.kept, first.again, first.reshuffles) == (True, True, True)
    assert (second.kept, second.again, second.value("buffer_size")) == (False, True, 7)
    [uniform], [normal] = steps["RandomUniform"], steps["RandomStandardNormal"]
    assert (uniform.caller, uniform.parallel) == ("MapDataset", False)
    assert (normal.caller, normal.parallel) == ("MapDataset", True)
    [batch] = steps["BatchDatasetV2"]
    assert (batch.again, batch.value("batch_size"), batch.computed) == (False, 2, set())


def test_arrays_beyond_the_limit_are_not_read(monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 100)
    pipeline, why = read(D.from_tensor_slices(np.zeros(200, np.uint8)))
    assert pipeline is None
    assert "0 MB of arrays" in why
