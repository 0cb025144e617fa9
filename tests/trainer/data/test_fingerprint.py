"""A fingerprint is the same for the same data, and says in words what is another."""

import json

import numpy as np
import pytest
import tensorflow as tf

from trainer.data import differences, open_source
from trainer.data import pipeline as graph
from trainer.data.fingerprint import of_pipeline, spec_lines

D = tf.data.Dataset
X = np.arange(60, dtype=np.float32).reshape(20, 3)
Y = np.arange(20)


def told(source, other):
    """The differences of two sources, the first of which went through a file."""
    recorded = json.loads(json.dumps(source.fingerprint()))
    assert differences(recorded, source.fingerprint()) == []
    return differences(recorded, other.fingerprint())


def arrays(x=X, y=Y, **how):
    return open_source(x, y, **{"batch_size": 4, "shuffle": True, "seed": 1, **how})


def test_arrays_on_the_device_and_on_the_host_are_the_same():
    words = {"w": np.array([f"w{i}é" for i in range(20)]), "x": X.astype(np.float64)}
    for shuffle in (False, True):
        for batch_size in (4, 7, 30):  # with a rest, without, and only a rest
            how = {"batch_size": batch_size, "shuffle": shuffle}
            assert told(arrays(words, **how), arrays(words, budget_bytes=0, **how)) == []
    assert told(arrays(), arrays(tf.constant(X), budget_bytes=0)) == []


def row(at, value):
    changed = X.copy()
    changed[at] = value
    return changed


@pytest.mark.parametrize(
    ("other", "lines"),
    [
        (lambda: arrays(batch_size=8), ["batch size: 4", "batches: 5 in the checkpoint, 3 now"]),
        (lambda: arrays(seed=2), ["seed: 1 in the checkpoint, 2 now"]),
        (lambda: arrays(shuffle=False), ["shuffle: True in", "seed: 1 in the checkpoint, nothing"]),
        (lambda: arrays(row(7, 0)), ["batch[0]: it holds other values than in the checkpoint"]),
        (lambda: arrays(y=Y[::-1]), ["batch[1]: it holds other values"]),
        (lambda: arrays(X[:12], Y[:12]), ["rows: 20 in the checkpoint, 12 now", "batches: 5"]),
        (
            lambda: arrays(np.uint8(X)),
            ["batch[0]: float32[None, 3] in the checkpoint, uint8[None, 3] now"],
        ),
        (
            lambda: arrays(class_weight={i: 1.0 for i in range(20)}),
            ["batch[2]: nothing in the checkpoint, float32[None] now"],
        ),
        (
            lambda: open_source(D.from_tensor_slices((X, Y)).batch(4)),
            ["kind of data: arrays in the checkpoint, dataset now"],
        ),
    ],
)
def test_what_differs_between_arrays_is_told(other, lines):
    found = told(arrays(), other())
    assert len(found) == len(lines), found
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True)), found


def base(rows=20, size=4, seed=1, factor=2.0, shift=None, files=("a/x", "a/y")):
    def scale(x, name):
        x = x * factor
        return (x if shift is None else x + shift), tf.strings.length(name)

    names = tf.constant([files[i % len(files)] for i in range(20)])
    data = D.from_tensor_slices((X, names)).take(rows).map(scale)
    return data.shuffle(9, seed=seed).batch(size)


def stream(data, **how):
    return open_source(data, **how)


@pytest.mark.parametrize(
    ("other", "lines"),
    [
        (
            lambda: stream(base(size=5)),
            ["batches: 5 in the checkpoint, 4", "pipeline: Batch(batch_s"],
        ),
        (lambda: stream(base(seed=2)), ["pipeline: Shuffle(buffer_size=9, seed=0, seed2=1, "]),
        (lambda: stream(base(factor=3.0)), ["pipeline: Map(function="]),
        (
            lambda: stream(base(shift=1.0)),
            ["pipeline: Map(", "AddV2 operations in functions: 0 in"],
        ),
        (lambda: stream(base(files=("a/x", "a/z"))), ["pipeline: TensorSlice(components[0]="]),
        (lambda: stream(base(files=("b/x", "b/y"))), []),  # another folder
        (
            lambda: stream(base().skip(1)),
            ["batches: 5", "pipeline: nothing in the checkpoint, Skip("],
        ),
        (lambda: stream(base().cache().prefetch(3).with_options(tf.data.Options())), []),
        (lambda: stream(base(), join=2), ["batches that make a step: 1 in the checkpoint, 2 now"]),
        (
            lambda: stream(base(), class_weight={i: 1 + i for i in range(9)}),
            ["spec", "class weights: nothing in the checkpoint, {'0': 1.0"],
        ),
        (
            lambda: stream(base),
            ["kind of data: dataset in the checkpoint, function of a"],
        ),
    ],
)
def test_what_differs_between_datasets_is_told(other, lines):
    found = told(stream(base()), other())
    lines = ["batch[2]: nothing" if line == "spec" else line for line in lines]
    assert len(found) == len(lines), found
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True)), found


def test_files_that_changed_are_seen_in_the_first_batch(tmp_path):
    path = tmp_path / "numbers.txt"

    def data():
        lines = tf.data.TextLineDataset(str(path))
        return stream(lines.map(tf.strings.to_number).batch(2))

    path.write_text("1\n2\n3\n")
    before = data()
    before.fingerprint()
    path.write_text("1\n4\n3\n")
    assert told(before, data()) == ["first batch: it holds other values than in the checkpoint"]


def test_a_fingerprint_is_the_same_whenever_it_is_made_and_disturbs_nothing(read, same):
    untouched = stream(base())
    wanted = [read(untouched, epoch)[0] for epoch in range(3)]
    early = stream(base())
    first = early.fingerprint()
    late = stream(base())
    for source in (early, late):
        for epoch in range(3):
            same(read(source, epoch)[0], wanted[epoch])
            if epoch == 1:
                assert source.fingerprint() == first
    assert late.fingerprint() is late.fingerprint()


def test_of_what_may_change_only_the_spec_is_told():
    parts = [X[:10], X[10:]]
    assert told(stream(lambda: iter(parts)), stream(lambda: iter(parts[::-1]))) == []
    assert set(stream(iter(parts)).fingerprint()) == {
        "kind",
        "spec",
        "batches that make a step",
        "class weights",
    }


def test_spec_lines_name_every_leaf():
    spec = {"a": tf.TensorSpec([None, 2], tf.int32), "b": (tf.TensorSpec(None, tf.string),)}
    assert spec_lines(spec) == [
        ["batch['a']", [None, 2], "int32"],
        ["batch['b'][0]", None, "string"],
    ]


def test_a_pipeline_is_told_in_the_words_of_its_functions():
    def nested(i):
        return D.range(i).map(lambda j: j * i).shuffle(3, seed=2)

    pipeline, _ = graph.read(D.range(5).interleave(nested, cycle_length=2).batch(2))
    found = of_pipeline(pipeline)
    assert found["pipeline"][0] == "Range(start=0, stop=5, step=1)"
    assert found["pipeline"][1].startswith("Interleave(cycle_length=2, block_length=1, function=")
    assert found["pipeline"][2] == "Batch(batch_size=2, drop_remainder=False)"
    assert found["operations"]["Mul"] == found["operations"]["ShuffleDatasetV3"] == 1
