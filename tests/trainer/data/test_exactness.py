"""What is promised is kept in another process: the place is found, the batches are the same.

A case is opened in two processes. One reads epochs 0 to 2 and is disturbed on its way; the other,
this file run as a script, begins at once in the middle of epoch 2 (of data that is pulled once:
after 13 steps). "exact" must see the same batches.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from trainer.data import differences, open_source
from trainer.data import pipeline as pipelines

EPOCH, SKIP, TAKEN, MOST = 2, 3, 13, 4
D = tf.data.Dataset
ROWS = 48


class Case(NamedTuple):
    make: Callable[[], Any]
    level: str = "exact"
    reason: str = ""  # what the reason must match
    how: dict[str, Any] = {}  # of open_source
    certain: bool = False  # it is refused, and gives other batches with certainty


def folder() -> str:
    """Where both processes find files."""
    return os.environ["GRADLOOP_TEST_FILES"]


def base() -> tf.data.Dataset:
    return D.range(ROWS)


def slow(i):
    """Takes a time of its own for each element, so that they get ready in another order."""
    _, x = tf.while_loop(
        lambda k, x: k < tf.cast(i % 7, tf.int32) * 9,
        lambda k, x: (k + 1, tf.linalg.matmul(x, x)),
        [0, tf.zeros([32, 32])],
    )
    return i + tf.cast(x[0, 0], tf.int64)


def options(deterministic):
    found = tf.data.Options()
    found.deterministic = deterministic
    return found


def seeded(make):
    """With a global seed, as scripts set it at their beginning."""

    def with_seed():
        tf.random.set_seed(3)
        try:
            return make()
        finally:
            unseeded_from_here()

    return with_seed


def unseeded_from_here():
    tf.random.set_seed(None)


def same_twice():
    one = base().shuffle(ROWS, seed=1)
    return D.zip(one, one).batch(4)


def captured():
    one = D.range(8).shuffle(8, seed=1)
    return D.range(6).flat_map(lambda i: one).batch(4)


def lookup():
    keys = tf.range(ROWS, dtype=tf.int64)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, keys * 3), -1)
    return base().shuffle(9, seed=2).map(table.lookup).batch(4)


def mutable_lookup():
    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, -1)
    table.insert(tf.range(ROWS, dtype=tf.int64), tf.range(ROWS, dtype=tf.int64))
    return base().map(table.lookup).batch(4)


def with_generator():
    generator = tf.random.Generator.from_seed(1)
    return base().map(lambda i: generator.uniform([])).batch(4)


def with_variable(write):
    variable = tf.Variable(0, dtype=tf.int64)
    return base().map(lambda i: i + (variable.assign_add(1) if write else variable)).batch(4)


def from_python():
    signature = tf.TensorSpec([4], tf.int64)
    batches = np.arange(ROWS).reshape(-1, 4)
    return D.from_generator(lambda: iter(batches), output_signature=signature)


def service():
    server = tf.data.experimental.service.DispatchServer()
    service.servers.append(server)  # it ends with the last reference
    return (
        base()
        .batch(4)
        .apply(tf.data.experimental.service.distribute("distributed_epoch", server.target))
    )


service.servers = []


def indexed(random=False, own=False):
    import keras

    class Data(keras.utils.PyDataset):
        rng = np.random.default_rng()

        def __len__(self):
            return 12

        def __getitem__(self, index):
            return np.arange(4 * index, 4 * index + 4) + (self.rng.normal() if random else 0)

    class Shuffling(Data):
        def on_epoch_end(self):
            pass

    return (Shuffling if own else Data)(workers=1)


def generate():
    yield from np.arange(ROWS).reshape(-1, 4)


def lengths():
    ragged = base().shuffle(ROWS, seed=4).map(lambda i: tf.fill([1 + i % 5], i))
    return ragged.bucket_by_sequence_length(
        lambda x: tf.shape(x)[0], [3], [4, 4], pad_to_bucket_boundary=False
    )


def stateless(i, x):
    seed = tf.stack([3, tf.cast(i, tf.int32)])
    return x + tf.random.stateless_uniform([], seed, 0, 9, tf.int64)


def mixed(**how):
    parts = base().shuffle(ROWS, seed=7), base().map(lambda i: 100 + i)
    return D.sample_from_datasets(parts, [0.5, 0.5], **how).batch(4)


def resampled():
    data = base().map(lambda i: (tf.cast(i % 2, tf.int32), i))
    return data.rejection_resample(lambda label, i: label, [0.6, 0.4]).batch(4)


def files(**how):
    return D.list_files(f"{folder()}/*.txt", **how)


def lines(name):
    return tf.data.TextLineDataset(name).map(lambda line: tf.strings.to_number(line, tf.int64))


EXACT = {
    "in order": Case(lambda: base().batch(4)),
    "shuffle": Case(lambda: base().shuffle(ROWS, seed=5).batch(4)),
    "shuffle of batches, joined": Case(
        lambda: base().batch(2).shuffle(9, seed=0).prefetch(2), how={"join": 3}
    ),
    "shuffle, always the same": Case(
        lambda: base().shuffle(ROWS, seed=5, reshuffle_each_iteration=False).batch(4)
    ),
    "global seed": Case(seeded(lambda: base().shuffle(10).batch(4))),
    "cache, shuffle": Case(lambda: base().map(slow).cache().shuffle(ROWS, seed=1).batch(4)),
    "shuffle, repeat": Case(lambda: D.range(16).shuffle(16, seed=1).repeat(3).batch(4)),
    "shuffle, repeat without end": Case(lambda: base().shuffle(9, seed=1).repeat().batch(4)),
    "concatenated shuffles": Case(
        lambda: D.range(24).shuffle(9, seed=1).concatenate(D.range(24).shuffle(9, seed=2)).batch(4)
    ),
    "zipped shuffles": Case(
        lambda: D.zip(base().shuffle(9, seed=1), base().shuffle(9, seed=2)).batch(4)
    ),
    "one shuffle twice": Case(same_twice),
    "captured shuffle": Case(captured),
    "parallel map": Case(lambda: base().map(slow, num_parallel_calls=4).batch(4)),
    "options, but deterministic": Case(
        lambda: (
            base()
            .map(slow, num_parallel_calls=4, deterministic=True)
            .with_options(options(False))
            .batch(4)
        )
    ),
    "parallel interleave": Case(
        lambda: (
            D.range(6)
            .shuffle(6, seed=3)
            .interleave(
                lambda i: D.range(8).shuffle(8, seed=2).map(lambda j: slow(10 * i + j)),
                cycle_length=3,
                num_parallel_calls=2,
            )
            .batch(4)
        )
    ),
    "random in map": Case(
        lambda: base().map(lambda i: tf.random.uniform([], seed=3)).shuffle(9, seed=1).batch(4)
    ),
    "stateless random": Case(
        lambda: base().enumerate().map(stateless, num_parallel_calls=4).batch(4)
    ),
    "Dataset.random, anew": Case(
        lambda: D.zip(D.random(seed=4, rerandomize_each_iteration=True), base()).batch(4)
    ),
    "sample_from_datasets, anew": Case(lambda: mixed(seed=3, rerandomize_each_iteration=True)),
    "filter, rebatch": Case(
        lambda: base().shuffle(9, seed=1).filter(lambda i: i % 5 > 0).batch(3).rebatch(4)
    ),
    "buckets": Case(lengths),
    "scan, window": Case(
        lambda: (
            base()
            .scan(np.int64(0), lambda state, i: (state + i, state))
            .window(3, shift=2, drop_remainder=True)
            .flat_map(lambda window: window.batch(3))
            .batch(4)
        )
    ),
    "table": Case(lookup),
    "snapshot": Case(lambda: base().snapshot(f"{folder()}/kept").shuffle(9, seed=1).batch(4)),
    "files": Case(lambda: files(seed=1).flat_map(lines).batch(4)),
    "by index": Case(indexed, how={"shuffle": True, "seed": 3}),
    "arrays": Case(lambda: np.arange(ROWS), how={"batch_size": 4, "shuffle": True, "seed": 3}),
    "large arrays": Case(
        lambda: np.arange(ROWS),
        how={"batch_size": 4, "shuffle": True, "seed": 3, "budget_bytes": 0},
    ),
}

COUNTED = {
    "py_function": Case(
        lambda: base().map(lambda i: tf.py_function(lambda x: x, [i], tf.int64)).batch(4),
        "counted",
        r"map calls Python \(EagerPyFunc.*function of the element",
    ),
    "from_generator": Case(
        lambda: from_python().shuffle(5, seed=1), "counted", "calls Python .PyFunc.*from_generator"
    ),
    "variable": Case(lambda: with_variable(False), "counted", "map reads a variable"),
    "mutable table": Case(mutable_lookup, "counted", "table that may have other contents"),
    "function of a dataset": Case(
        lambda: lambda: base().shuffle(9, seed=1).batch(4), "counted", "makes a dataset for each"
    ),
    "function of a generator": Case(lambda: generate, "counted", "function that makes a generator"),
    "iterable": Case(lambda: dict(enumerate(generate())).values(), "counted", "x is a dict_values"),
    "by index, own hook": Case(
        lambda: indexed(own=True),
        "counted",
        "a Shuffling whose on_epoch_end may change.*shuffle=True",
    ),
}

REFUSED = {
    "unseeded": Case(
        lambda: base().shuffle(ROWS).batch(4),
        "refused",
        r"shuffle\(\) has no seed.*seed=1",
        certain=True,
    ),
    "unseeded, always the same": Case(
        lambda: base().shuffle(ROWS, reshuffle_each_iteration=False).batch(4),
        "refused",
        r"shuffle\(\) has no seed",
        certain=True,
    ),
    "unseeded in interleave": Case(
        lambda: D.range(2).flat_map(lambda i: D.range(24).shuffle(24)).batch(4),
        "refused",
        r"has no seed",
        certain=True,
    ),
    "unseeded in a function": Case(
        lambda: lambda: base().shuffle(ROWS).batch(4), "refused", r"shuffle\(\) has no seed"
    ),
    "files as they come": Case(
        lambda: files().flat_map(lines).batch(4),
        "refused",
        "list_files.*shuffle=False",
        certain=True,
    ),
    "map not deterministic": Case(
        lambda: base().map(slow, num_parallel_calls=4, deterministic=False).batch(4),
        "refused",
        r"map\(deterministic=False\).*deterministic=True",
    ),
    "interleave not deterministic": Case(
        lambda: (
            base()
            .interleave(
                lambda i: D.range(2).map(lambda j: slow(i)),
                num_parallel_calls=2,
                deterministic=False,
            )
            .batch(4)
        ),
        "refused",
        r"interleave\(deterministic=False\).*deterministic=True",
    ),
    "options": Case(
        lambda: base().map(slow, num_parallel_calls=4).with_options(options(False)).batch(4),
        "refused",
        r"options say deterministic=False, and map .*options.deterministic = True",
    ),
    "options around a function": Case(
        lambda: (
            D.range(1)
            .flat_map(lambda i: base().map(slow, num_parallel_calls=4))
            .batch(4)
            .with_options(options(False))
        ),
        "refused",
        "options say deterministic=False",
    ),
    "unseeded random": Case(
        lambda: base().map(lambda i: tf.random.uniform([])).batch(4),
        "refused",
        "RandomUniform in map .*without a seed.*tf.random.set_seed",
        certain=True,
    ),
    "random in parallel": Case(
        lambda: base().map(lambda i: tf.random.uniform([], seed=3), num_parallel_calls=4).batch(4),
        "refused",
        "several threads.*tf.random.stateless_.*enumerate",
    ),
    "Generator": Case(
        with_generator, "refused", "tf.random.Generator.*stateless_.*enumerate", certain=True
    ),
    "variable that changes": Case(
        lambda: with_variable(True),
        "refused",
        "changes a variable.*AssignAddVariableOp",
        certain=True,
    ),
    "unseeded Dataset.random": Case(
        lambda: D.zip(D.random(), base()).batch(4),
        "refused",
        r"Dataset.random\(\).*seed=1",
        certain=True,
    ),
    "unseeded sample_from_datasets": Case(mixed, "refused", "sample_from_datasets"),
    "unseeded rejection_resample": Case(resampled, "refused", "without a seed"),
    "shuffle, cache": Case(
        lambda: base().shuffle(9, seed=1).cache().batch(4),
        "refused",
        r"shuffle\(\) stands before cache\(\).*put cache\(\) before",
        certain=True,
    ),
    "clock": Case(
        lambda: base().map(lambda i: tf.cast(1e6 * tf.timestamp(), tf.int64)).batch(4),
        "refused",
        r"map reads the clock \(Timestamp\).*leave it out",
        certain=True,
    ),
    "service": Case(service, "refused", "tf.data service"),
    "iterator": Case(generate, "refused", "generator.*read only once.*function"),
    "by index, random": Case(
        lambda: indexed(random=True),
        "refused",
        r"x\[0\] gave other values.*function of the index",
        certain=True,
    ),
}

CASES = EXACT | COUNTED | REFUSED


def batches(source: Any, reader: Any, most: int = 10**6) -> list[Any]:
    """What a reader gives, at most so many batches, as flat lists of arrays."""
    found: list[Any] = []
    while len(found) < most and (segment := reader.take(min(3, most - len(found)))) is not None:
        for i in range(segment.steps):
            batch = source.fetch(segment.args, tf.constant(i), segment.rows)
            found.append([np.asarray(leaf) for leaf in tf.nest.flatten(batch)])
    reader.close()
    return found


def straight(case: Case) -> list[Any]:
    """From epoch 0 on, while others use the same data."""
    data = case.make()
    if isinstance(data, tf.data.Dataset):
        list(data.take(1))
    source = open_source(data, **case.how)
    if source.once:
        read = [b for epoch in range(3) for b in batches(source, source.reader(epoch), 6)]
        source.close()
        return read[TAKEN : TAKEN + MOST]
    batches(source, source.reader(0))
    other = open_source(data, **case.how)
    batches(other, other.reader(0), 2)
    other.close()
    batches(source, source.reader(1), 2)  # left in the middle
    return batches(source, source.reader(EPOCH))[SKIP : SKIP + MOST]


def resumed(case: Case, looks: bool) -> list[Any]:
    """From the middle on, in a source that was perhaps looked at."""
    source = open_source(case.make(), **case.how)
    if looks:
        source.example(1)
    found = batches(source, source.reader(EPOCH, SKIP, TAKEN), MOST)
    source.close()
    return found


def main(target: str) -> None:
    """Resumes the cases and writes what it saw."""
    arrays, fingerprints = {}, {}
    for number, (name, case) in enumerate(CASES.items()):
        if case.level == "exact" or case.certain:
            looks = case.level == "exact" and number % 2 == 0  # a look would fill a cache
            for at, batch in enumerate(resumed(case, looks)):
                arrays |= {f"{name}|{at}|{leaf}": value for leaf, value in enumerate(batch)}
        fingerprints[name] = open_source(case.make(), **case.how).fingerprint()
    np.savez(f"{target}/batches.npz", **arrays)
    Path(f"{target}/fingerprints.json").write_text(json.dumps(fingerprints))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """What the other process saw: name -> batches, and name -> fingerprint."""
    files, target = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("seen")
    for number in range(6):
        lines = [str(8 * number + i) for i in range(8)]
        (files / f"{number}.txt").write_text("\n".join(lines))
    root = Path(__file__).resolve().parents[3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADLOOP_TEST_FILES", str(files))
        patch.setenv("PYTHONPATH", str(root))
        run = subprocess.run(
            [sys.executable, __file__, str(target)], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr[-2000:]
        seen: dict[str, list[Any]] = {name: [] for name in CASES}
        with np.load(target / "batches.npz") as arrays:
            for key in arrays:
                name, at, _ = key.split("|")
                seen[name] += [[]] * (int(at) == len(seen[name]))
                seen[name][int(at)] = [*seen[name][int(at)], arrays[key]]
        yield seen, json.loads((target / "fingerprints.json").read_text())


@pytest.fixture(autouse=True)
def no_global_seed(seeds):
    """As in a script that sets none."""
    tf.random.set_seed(None)


def same(a, b):
    """Whether two lists of batches are equal, bit for bit."""
    return [[(x.dtype, x.shape, x.tobytes()) for x in batch] for batch in a] == [
        [(x.dtype, x.shape, x.tobytes()) for x in batch] for batch in b
    ]


@pytest.mark.parametrize("name", list(reversed(EXACT)))  # other things were built before
def test_exact_data_goes_on_with_the_same_batches_in_another_process(other, name):
    batches, fingerprints = other
    case = EXACT[name]
    source = open_source(case.make(), **case.how)
    assert source.exactness().level == "exact", source.exactness().reason
    assert differences(fingerprints[name], source.fingerprint()) == []
    source.close()
    went_on = straight(case)
    assert len(went_on) >= 3
    assert same(batches[name], went_on)


@pytest.mark.parametrize("name", list(reversed(COUNTED | REFUSED)))
def test_what_cannot_be_promised_is_told_with_its_reason_and_a_way_out(other, name):
    batches, fingerprints = other
    case = CASES[name]
    source = open_source(case.make(), **case.how)
    exactness = source.exactness()
    assert exactness.level == case.level
    assert exactness.reason.startswith("x")
    assert re.search(case.reason, exactness.reason), exactness.reason
    assert source.exactness() is exactness
    assert differences(fingerprints[name], source.fingerprint()) == []
    source.close()
    if case.certain:
        assert not same(batches[name], straight(case))


@pytest.mark.parametrize("name", sorted(COUNTED))
def test_counted_data_is_found_by_counting(other, name):
    """These give the same again, which nobody can know."""
    case = COUNTED[name]
    assert same(resumed(case, looks=True), straight(case))


def test_arrays_too_large_to_be_looked_at_are_said_so(monkeypatch):
    monkeypatch.setattr(pipelines, "LARGEST", 1000)
    held = D.from_tensor_slices(np.zeros(2000, np.uint8)).shuffle(9, seed=1).batch(4)
    exactness = open_source(held, argument="data").exactness()
    assert exactness.level == "counted"
    assert re.search(
        r"data is a dataset.*0 MB of arrays.*fit\(x, y, shuffle=True\)", exactness.reason
    )


if __name__ == "__main__":
    main(sys.argv[1])
