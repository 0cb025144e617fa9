"""Reading a folder: what is there, and errors that lead on; faults are in tests/faults."""

import dataclasses

import pytest
import tensorflow as tf

from trainer.checkpoint import CheckpointError, CorruptCheckpointError, Store
from trainer.checkpoint.reading import Checkpoints, near


@pytest.fixture
def three(place, content):
    """A folder with three checkpoints, for reading."""
    with Store(place) as store:
        for step in (1, 2, 3):
            store.commit(content(step, metrics={"loss": 1 / step}, header={"n": step}))
    return Checkpoints(place)


def test_a_folder_that_is_not_there_has_no_checkpoints(place):
    checkpoints = Checkpoints(place)
    assert (checkpoints.names(), checkpoints.aside(), checkpoints.entries()) == ([], [], [])
    with pytest.raises(CheckpointError, match="000001-step-1 is no checkpoint; there is none"):
        checkpoints.load("000001-step-1")
    assert not tf.io.gfile.exists(place)


def test_everything_can_be_read_without_the_lock(three, content, same):
    assert three.names() == ["000001-step-1", "000002-step-2", "000003-step-3"]
    for step, name in enumerate(three.names(), start=1):
        manifest, values = three.load(name)
        assert same(values, dict(content(step).values))
        assert (manifest.step, manifest.header, manifest.metrics) == (
            step,
            {"n": step},
            {"loss": 1 / step},
        )
        assert three.verify(name) == three.manifest(name) == manifest
    assert [(e.name, e.step, e.pinned) for e in three.entries()] == [
        ("000001-step-1", 1, False),
        ("000002-step-2", 2, False),
        ("000003-step-3", 3, False),
    ]


def test_some_values_can_be_read_alone(three):
    manifest, values = three.load("000002-step-2", names=["step"])
    assert {name: int(value) for name, value in values.items()} == {"step": 2}
    assert three.load("000002-step-2", names=[])[1] == {}
    weights = three.load("000002-step-2", names=manifest.weights)[1]
    assert list(weights) == ["model/w", "model/b"]


def test_what_is_verified_is_not_read_again_for_its_hashes(three, monkeypatch):
    """And what TensorFlow reads is still held against the hash of each value."""
    found = Store(three.directory).newest()
    monkeypatch.setattr(three, "verify", None)
    manifest, values = three.load(found.name, ["model/w"], verified=found.manifest)
    assert manifest is found.manifest and list(values) == ["model/w"]
    wrong = {name: value._replace(sha256="0" * 64) for name, value in manifest.values.items()}
    with pytest.raises(CorruptCheckpointError, match="'model/w' is not what was written"):
        three.load(found.name, verified=dataclasses.replace(manifest, values=wrong))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("000002-step-2", ["model/x"], "has no value 'model/x'; did you mean 'model/w'?"),
        ("000002-step-2", ["zzzz"], "has no value 'zzzz'; there are 7, the last: "),
        ("000002-step-3", None, "000002-step-3 is no checkpoint; did you mean '00000"),
        ("lock", None, "is no"),
        ("???", None, "is no checkpoint; there are 3, the last: '000001-step-1', '000002"),
    ],
)
def test_names_that_are_not_there_lead_to_those_that_are(three, name, values, message):
    with pytest.raises(CheckpointError) as caught:
        three.load(name, values)
    assert message in str(caught.value)
    assert not isinstance(caught.value, CorruptCheckpointError)


@pytest.mark.parametrize("name", ["", "..", "../a", "000001-step-1/state"])
def test_only_plain_names_are_taken(three, name):
    with pytest.raises(ValueError, match="is not a plain file name"):
        three.manifest(name)


def test_checkpoints_are_ordered_by_serial_alone(tmp_path, small):
    with Store(tmp_path) as store:
        for step in (5, 5, 1000, 3):
            store.commit(small(step))
        assert store.names() == [
            "000001-step-5",
            "000002-step-5",
            "000003-step-1000",
            "000004-step-3",
        ]
        (tmp_path / "000004-step-3").rename(tmp_path / "1000000-step-3")
        (tmp_path / "000003-step-1000").rename(tmp_path / "999999-step-1000")
        assert store.names()[2:] == ["999999-step-1000", "1000000-step-3"]


def test_what_only_looks_like_a_checkpoint_is_none(tmp_path, small):
    with Store(tmp_path) as store:
        name = store.commit(small())
        (tmp_path / "000007-step-7").write_bytes(b"a file")
        (tmp_path / "000008-step-8").symlink_to(tmp_path / name)
        for folder in ("00009-step-9", "000009-step--9", "000009-step-9x", "x000009-step-9"):
            (tmp_path / folder).mkdir()
        assert store.names() == [name]
        with pytest.raises(CheckpointError, match="000008-step-8 is no folder"):
            store.load("000008-step-8")


def test_entries_leave_out_what_cannot_be_read_and_read_the_rest_once(three, monkeypatch):
    three._files.remove("000002-step-2", "manifest.json")
    names = ["000001-step-1", "000003-step-3"]
    assert [entry.name for entry in three.entries()] == names
    monkeypatch.delattr(type(three), "manifest")
    three._files.write(b"", "000001-step-1", "pinned")
    monkeypatch.setattr(three, "names", lambda: names)
    assert [entry.pinned for entry in three.entries()] == [True, False]


def test_near_names():
    assert near("abd", ["abc", "xyz"]) == "; did you mean 'abc'?"
    assert near("q", ["abc", "b", "c", "d"]) == "; there are 4, the last: 'b', 'c', 'd'."
    assert near("q", []) == "; there is none."


@pytest.mark.parametrize(
    "seen", [["000001-step-1"], [".trash-000001-step-1"], [".tmp-000002-step-2"]]
)
def test_a_listing_between_two_checkpoints_is_made_again(tmp_path, small, monkeypatch, seen):
    """The only one was removed after it was listed, and the next was not in place yet."""
    with Store(tmp_path) as store:
        store.commit(small(1))
        name = store.commit(small(2))
        store.remove("000001-step-1")
    reader, listings = Checkpoints(tmp_path), [seen]
    listing = reader._files.listing
    monkeypatch.setattr(reader._files, "listing", lambda: listings.pop() if listings else listing())
    assert reader.names() == [name]
