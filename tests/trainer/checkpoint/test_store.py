"""Commit, set aside, remove, pin; what happens when things go wrong is in tests/faults."""

import logging
import math
import os
import re
import subprocess
import time

import numpy as np
import pytest
import tensorflow as tf

from trainer.checkpoint import (
    CheckpointError,
    CheckpointWriteError,
    CorruptCheckpointError,
    Retention,
    Store,
    StoreInUseError,
)
from trainer.checkpoint.store import SetAside


def test_a_store_touches_nothing_before_it_is_opened(tmp_path):
    store = Store(tmp_path / "a" / "b")
    assert store.names() == [] and store.newest() is None
    assert not (tmp_path / "a").exists()
    with store:
        assert sorted(os.listdir(tmp_path / "a" / "b")) == ["lock"]


def test_what_is_committed_comes_back(place, content, same):
    given = content(
        step=7,
        metrics={"loss": np.float32(0.1), "bad": math.nan, "n": 3},
        header={"threads": 2, "inf": math.inf},
        plain={"callbacks": [{"best": -math.inf, "wait": 3}]},
    )
    with Store(place) as store:
        name = store.commit(given)
        assert name == "000001-step-7"
        assert sorted(store._files.listing(name)) == [
            "manifest.json",
            "manifest.json.sha256",
            "state.data-00000-of-00001",
            "state.index",
        ]
        manifest, values = store.load(name)
    assert same(values, dict(given.values))
    assert (manifest.serial, manifest.step, manifest.weights) == (1, 7, ["model/w", "model/b"])
    assert (manifest.header, manifest.plain) == (given.header, given.plain)
    assert manifest.metrics["loss"] == float(np.float32(0.1)) and manifest.metrics["n"] == 3.0
    assert math.isnan(manifest.metrics["bad"])


def test_others_can_read_and_check_it(tmp_path, content):
    given = content()
    with Store(tmp_path) as store:
        name = store.commit(given)
    reader = tf.train.load_checkpoint(store.path(name, "state"))
    assert sorted(reader.get_variable_to_shape_map()) == sorted(given.values)
    checked = subprocess.run(
        ["sha256sum", "-c", "manifest.json.sha256"],
        cwd=store.path(name),
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout.count(": OK") == 3


def test_the_same_weights_have_the_same_hash_whatever_is_around_them(tmp_path, content):
    with Store(tmp_path) as store:
        first = store.manifest(store.commit(content(1)))
        values = {**content(1).values, "more": tf.ones([3])}
        second = store.manifest(store.commit(content(2, values=values, header={"a": 1})))
        third = store.manifest(store.commit(content(3)))
    assert first.weights_sha256 == second.weights_sha256 != third.weights_sha256


def test_a_snapshot_is_kept_while_its_variable_goes_on(tmp_path):
    variable = tf.Variable([1.0, 2.0])
    snapshot = variable.read_value()
    variable.assign([3.0, 4.0])
    with Store(tmp_path) as store:
        name = store.commit(_content(snapshot))
        assert store.load(name)[1]["v"].numpy().tolist() == [1.0, 2.0]


def _content(tensor):
    from trainer.checkpoint import Content

    return Content(step=0, values={"v": tensor})


def test_serials_only_grow(place, small):
    with Store(place) as store:
        names = [store.commit(small(step)) for step in (3, 3, 1)]
        assert names == ["000001-step-3", "000002-step-3", "000003-step-1"]
        store.remove(names[-1])
        assert store.commit(small(9)) == "000004-step-9"  # not again 3: it was in use
        store.set_aside("000004-step-9")
    with Store(place) as store:  # and the same after a restart, as far as the folder tells
        assert store.commit(small(10)) == "000005-step-10"


def test_a_name_that_is_taken_is_left_alone(tmp_path, small):
    (tmp_path / "000001-step-5").write_bytes(b"somebody's file")
    (tmp_path / "000002-step-9").mkdir()
    (tmp_path / "corrupt-000003-step-1").mkdir()
    (tmp_path / ".tmp-000004-step-1").symlink_to(tmp_path / "nowhere")
    store = Store(tmp_path)
    store._sweep = lambda: None  # as where there are no locks
    with store:
        assert store.commit(small(5)) == "000005-step-5"


@pytest.mark.parametrize("make", ["mkdir", "touch"])
def test_a_name_that_is_taken_at_the_last_moment_is_left_alone(tmp_path, small, make, monkeypatch):
    with Store(tmp_path) as store:
        write = store._write_manifest

        def late(folder, manifest):
            write(folder, manifest)
            if manifest.serial < 3:
                getattr(tmp_path / f"00000{manifest.serial}-step-5", make)()

        monkeypatch.setattr(store, "_write_manifest", late)
        assert store.commit(small(5)) == "000003-step-5"
        assert store.verify("000003-step-5").serial == 3
    assert not any(name.startswith(".") for name in os.listdir(tmp_path))


def test_writing_needs_an_open_store(place, small):
    store = Store(place)
    with store:
        name = store.commit(small())
        with pytest.raises(StoreInUseError, match="this store is open already"):
            store.__enter__()
    for write in (lambda: store.commit(small()), lambda: store.remove(name)):
        with pytest.raises(StoreInUseError, match="not open for writing"):
            write()
    with pytest.raises(StoreInUseError, match="not open"):
        store.set_aside(name)
    assert store.verify(name)


def test_leftovers_are_swept_and_nothing_else(tmp_path, small):
    with Store(tmp_path) as store:
        name = store.commit(small())
    left = [".tmp-000002-step-1", ".trash-000001-step-1", ".trash-corrupt-000001-step-1-2"]
    kept = [".tmp-mine", ".trash", "000009-step-x", "tmp-000002-step-1"]
    for folder in (*left, *kept):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_bytes(b"x")
    outside = tmp_path.parent / "outside"
    outside.mkdir()
    (tmp_path / ".tmp-000003-step-1").symlink_to(outside)
    (tmp_path / left[0] / "link").symlink_to(outside)
    with Store(tmp_path) as store:
        assert sorted(os.listdir(tmp_path)) == sorted([*kept, name, "lock"])
    assert outside.exists()


def test_removing_takes_the_folder_and_sets_nothing_else_free(place, small):
    with Store(place) as store:
        first, second = (store.commit(small(step)) for step in (1, 2))
        aside = store.set_aside(first)
        assert (aside, store.names(), store.aside()) == (f"corrupt-{first}", [second], [aside])
        store.remove(aside)
        store.remove(second)
        assert (store.names(), store.aside(), store.entries()) == ([], [], [])
        assert [n for n in store._files.listing() if n != "lock"] == []
        with pytest.raises(CheckpointError, match="is no checkpoint; there is none"):
            store.remove(second)


def test_names_of_those_set_aside_do_not_collide(tmp_path, small):
    with Store(tmp_path) as store:
        name = store.commit(small())
        (tmp_path / f"corrupt-{name}").mkdir()
        assert store.set_aside(name) == f"corrupt-{name}-2"
        assert store.verify(f"corrupt-{name}-2")  # it can still be looked at


def test_pins_need_no_lock_and_survive_a_restart(place, small):
    with Store(place) as store:
        first, second = (store.commit(small(step)) for step in (1, 2))
        other = Store(place)
        for _ in range(2):
            other.pin(first)
        assert [entry.pinned for entry in store.entries()] == [True, False]
        with pytest.raises(CheckpointError, match="is pinned; unpin it first"):
            store.remove(first)
        assert store.names() == [first, second]
    with Store(place) as store:
        assert store.pinned(first) and store.verify(first)
        for _ in range(2):
            other.unpin(first)
        store.remove(first)
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        other.pin(first)


def test_a_pin_at_the_last_moment_holds(tmp_path, small, monkeypatch):
    with Store(tmp_path) as store:
        name = store.commit(small())
        move = store._files.move

        def late(old, new, first=()):
            if not new.startswith("0"):
                Store(tmp_path).pin(old)
            move(old, new, first)

        monkeypatch.setattr(store._files, "move", late)
        with pytest.raises(CheckpointError, match="is pinned"):
            store.remove(name)
        assert store.names() == [name] and store.verify(name)


def test_the_newest_that_verifies(place, small):
    with Store(place) as store:
        assert store.newest() is None
        names = [store.commit(small(step)) for step in (1, 2, 3, 4)]
        assert store.newest()[:3:2] == (names[3], ())
        for name in names[2:]:
            store._files.remove(name, "state.index")
        reader = Store(place)  # without the lock nothing is moved
        assert [(bad.name, bad.moved_to) for bad in reader.newest().set_aside] == [
            (names[3], None),
            (names[2], None),
        ]
        found = store.newest()
        assert (found.name, found.manifest.step) == (names[1], 2)
        assert found.set_aside == tuple(
            SetAside(
                name, f"{store.path(name)} is corrupt: state.index is missing.", f"corrupt-{name}"
            )
            for name in (names[3], names[2])
        )
        assert store.names() == names[:2]
        assert store.aside() == [f"corrupt-{name}" for name in names[2:]]
        assert store.newest().set_aside == ()


def test_to_begin_anew_over_corrupt_checkpoints_is_for_a_person_to_decide(place, small):
    with Store(place) as store:
        names = [store.commit(small(step)) for step in (1, 2)]
        for name in names:
            store._files.remove(name, "state.index")
        for _ in range(2):
            with pytest.raises(CorruptCheckpointError, match="none of the 2 checkpoints verifies"):
                store.newest()
            assert store.names() == names


def test_one_that_its_writer_removes_meanwhile_is_passed_over(tmp_path, small, monkeypatch):
    with Store(tmp_path) as store:
        names = [store.commit(small(step)) for step in (1, 2)]
        reader = Store(tmp_path)
        read = reader._files.read

        def late(*parts, limit):
            if names[1] in store.names():
                store.remove(names[1])
            return read(*parts, limit=limit)

        monkeypatch.setattr(reader._files, "read", late)
        found = reader.newest()
    assert (found.name, found.set_aside) == (names[0], ())


def test_an_error_that_says_nothing_of_the_newest_is_raised(tmp_path, small, monkeypatch):
    with Store(tmp_path) as store:
        for step in (1, 2):
            store.commit(small(step))

        def denied(*parts, limit):
            raise CheckpointError("cannot be read: Permission denied")

        monkeypatch.setattr(store._files, "read", denied)
        with pytest.raises(CheckpointError, match="Permission denied"):
            store.newest()
        assert len(store.names()) == 2


def test_a_folder_renamed_by_hand_is_not_taken_for_another_checkpoint(tmp_path, small):
    with Store(tmp_path) as store:
        store.commit(small(1))
        os.rename(tmp_path / "000001-step-1", tmp_path / "000009-step-9")
        with pytest.raises(CorruptCheckpointError, match="its manifest is of serial 1, step 1"):
            store.verify("000009-step-9")
        os.rename(tmp_path / "000009-step-9", tmp_path / "best so far")
        assert store.verify("best so far").step == 1
        assert store.names() == []


def test_the_clock_decides_nothing(tmp_path, small, monkeypatch):
    from trainer.checkpoint import store as module

    class Back(module.datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(1999, 12, 31, tzinfo=tz)

    with Store(tmp_path) as store:
        first = store.commit(small(1))
        monkeypatch.setattr(module.datetime, "datetime", Back)
        monkeypatch.setattr(time, "time", lambda: 0.0)
        second = store.commit(small(1))
        os.utime(store.path(first))
        os.utime(store.path(second), (0, 0))
        assert store.manifest(second).time == "1999-12-31T00:00:00Z"
        assert store.names() == [first, second]
        assert store.newest().name == second
        assert Retention(keep_last=1).to_remove(store.entries()) == [first]


def test_a_folder_deleted_while_running_is_made_again_and_said_so(tmp_path, small, caplog):
    import shutil

    run = tmp_path / "run"
    with Store(run) as store:
        store.commit(small(1))
        shutil.rmtree(run)
        with caplog.at_level(logging.WARNING):
            assert store.commit(small(2)) == "000002-step-2"
        assert re.search("was deleted while in use; made again", caplog.text)
        with pytest.raises(StoreInUseError), Store(run):
            pass  # the new folder is locked as the old one was
        assert store.names() == ["000002-step-2"]


def test_a_folder_deleted_and_taken_by_another_is_not_taken_back(tmp_path, small):
    import shutil

    run = tmp_path / "run"
    with Store(run) as store:
        shutil.rmtree(run)
        with Store(run) as other:
            name = other.commit(small(1))
            with pytest.raises(StoreInUseError, match="another store of this very process"):
                store.commit(small(2))
            assert other.names() == [name]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"step": -1}, ValueError, "step=-1: it must be a whole number from 0 on"),
        ({"step": 1.0}, ValueError, "step=1.0"),
        ({"step": True}, ValueError, "step=True"),
        ({"values": {}}, ValueError, "values is empty"),
        ({"weights": ["absent"]}, ValueError, "weights has 'absent', which is not among"),
        ({"metrics": {"loss": "low"}}, TypeError, r"metrics\['loss'\] is 'low'; it must be a n"),
        ({"header": {"x": {1}}}, TypeError, r"header\['x'\] is a set"),
        ({"plain": b"x"}, TypeError, "plain is a bytes"),
    ],
)
def test_content_that_cannot_be_kept_is_refused_before_anything_is_written(
    tmp_path, content, changes, error, message
):
    with Store(tmp_path) as store:
        with pytest.raises(error, match=message):
            store.commit(content(**changes))
        assert os.listdir(tmp_path) == ["lock"]


def test_remotely_only_what_has_its_checksums_counts(content, small):
    with Store("ram://counts/a") as store:
        name = store.commit(small(1))
        store._files.remove(name, "manifest.json.sha256")
        assert store.names() == []
    with Store("ram://counts/a") as store:
        assert store._files.kind(name) == "folder"  # perhaps another's, who is still at work
        assert store.commit(small(1)) == "000002-step-1"


def test_where_there_can_be_no_folder_the_way_out_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(CheckpointWriteError, match="is one of the path's parts a file"):
            Store(path).__enter__()
