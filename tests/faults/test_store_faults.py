"""Damage of every kind to checkpoints on disk, and disks that fail while one is written.

Each must end in an error that says what is wrong, never in a wrong value, and never cost an older
checkpoint. Failures are real where the system lets a test make them (a small file system in memory,
mounted by root), and put in at the system calls everywhere.
"""

import errno
import hashlib
import json
import os
import random
import re
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from trainer.checkpoint import (
    CheckpointError,
    CheckpointWriteError,
    Content,
    CorruptCheckpointError,
    Retention,
    Store,
    Writer,
    bundle,
)
from trainer.checkpoint.reading import Checkpoints

OLD, NEW = "000001-step-1", "000002-step-2"
FILES = ["manifest.json", "manifest.json.sha256", "state.data-00000-of-00001", "state.index"]


def content(step, size=40):
    rng = np.random.default_rng(step)
    values = {
        "w": tf.constant(rng.normal(size=size).astype("float32")),
        "words": tf.constant([b"one", b"", b"three"]),
        "step": tf.constant(step),
    }
    return Content(step=step, values=values, weights=["w"], metrics={"loss": 1.0}, plain={"a": [1]})


def is_whole(checkpoints, name):
    """Whether a checkpoint verifies and holds what was put in, bit for bit."""
    manifest, values = checkpoints.load(name)
    given = content(manifest.step, int(values["w"].shape[0])).values
    return values.keys() == given.keys() and all(
        np.asarray(values[n]).tolist() == np.asarray(given[n]).tolist() for n in given
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with an old and a new checkpoint."""
    with Store(tmp_path / "run") as store:
        for step in (1, 2):
            store.commit(content(step))
    return tmp_path / "run"


def caught(folder):
    """That the newest is seen to be corrupt by everybody, and the older one is found instead."""
    reader = Checkpoints(folder)
    for look in (reader.verify, reader.load):
        with pytest.raises(CorruptCheckpointError, match=NEW):
            look(NEW)
    found = Store(folder).newest()
    assert found.name == OLD
    assert [bad.name for bad in found.set_aside] == [NEW]
    return found.set_aside[0].reason


# Damage.


def test_a_flipped_bit_is_caught_wherever_it_is(folder):
    dice = random.Random(0)
    touched = set()
    for _ in range(200):
        path = folder / NEW / dice.choice(FILES)
        whole = path.read_bytes()
        bit = dice.randrange(8 * len(whole))
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        caught(folder)
        path.write_bytes(whole)
        touched.add(path.name)
    assert sorted(touched) == FILES
    assert is_whole(Checkpoints(folder), NEW)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\n")


def link(path):
    os.rename(path, path.parent / "the same bytes")
    path.symlink_to("the same bytes")


def into_folder(path):
    path.unlink()
    path.mkdir()


def into_pipe(path):
    path.unlink()
    os.mkfifo(path)


def exchange(path):
    shutil.copyfile(path.parents[1] / OLD / path.name, path)


DAMAGE = {
    "missing": os.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "half": cut,
    "longer": lengthen,
    "a link to the same bytes": link,
    "a folder": into_folder,
    "a pipe that nobody writes": into_pipe,
    "another checkpoint's": exchange,
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_caught_and_the_older_one_found(folder, file, damage):
    DAMAGE[damage](folder / NEW / file)
    assert "corrupt" in caught(folder)
    with Store(folder) as store:  # with the lock, it is also put out of the way, and kept
        assert store.newest().set_aside[0].moved_to == f"corrupt-{NEW}"
        assert store.names() == [OLD]
        assert is_whole(store, OLD)
        assert store.commit(content(3)) == "000003-step-3"
    assert (folder / f"corrupt-{NEW}").is_dir()


def test_an_empty_folder_in_place_of_a_checkpoint_is_caught(folder):
    shutil.rmtree(folder / NEW)
    (folder / NEW).mkdir()
    assert caught(folder).endswith("manifest.json is missing.")


def test_files_that_do_not_belong_there_change_nothing(folder):
    for name in ("notes.txt", "state.data-00001-of-00002", "checkpoint", ".nfs0001"):
        (folder / NEW / name).write_bytes(b"x")
    (folder / NEW / "more").mkdir()
    with Store(folder) as store:
        assert is_whole(store, NEW)
        assert store.newest().name == NEW
        store.remove(NEW)
    assert not (folder / NEW).exists()


@pytest.mark.parametrize("scheme", ["local", "ram"])
def test_a_value_that_changed_after_it_was_hashed_is_never_handed_out(tmp_path, scheme):
    """Hash and length of every file may be right, and a value wrong: then `load` says so."""
    place = tmp_path if scheme == "local" else "ram://changed/a"
    with Store(place) as store:
        describe = bundle.describe
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                bundle, "describe", lambda values, weights: describe(content(2).values, weights)
            )
            name = store.commit(content(1))
        assert store.verify(name)
        with pytest.raises(CorruptCheckpointError, match="'w' is not what was written"):
            store.load(name)


# Crafted checkpoints, whose checksums are right.


def forge(folder, edit):
    """Changes the newest checkpoint's manifest, and makes its checksums fit."""
    fields = json.loads((folder / NEW / "manifest.json").read_bytes())
    text = edit(fields)
    text = json.dumps(fields).encode() if text is None else text
    (folder / NEW / "manifest.json").write_bytes(text)
    lines = [f"{hashlib.sha256(text).hexdigest()}  manifest.json\n"]
    lines += [f"{file['sha256']}  {name}\n" for name, file in fields["files"].items()]
    (folder / NEW / "manifest.json.sha256").write_text("".join(lines))


def setting(*path, to):
    def edit(fields):
        for part in path[:-1]:
            fields = fields[part]
        fields[path[-1]] = to

    return edit


def huge_value(fields):
    fields["files"][FILES[2]]["bytes"] = 2**62
    fields["values"]["step"]["shape"] = [2**59]


VALUE = {"shape": [], "dtype": "int32", "sha256": "0" * 64, "weight": False}
SECRET = {"sha256": hashlib.sha256(b"secret").hexdigest(), "bytes": 6}
CRAFTED = {
    "unchanged": (lambda fields: None, None),
    "a path that leads out": (setting("files", "../../secret", to=SECRET), "no file of a|plain"),
    "an absolute path": (setting("files", "/etc/passwd", to=SECRET), "plain file name"),
    "another checkpoint's file": (setting("files", "..", to=SECRET), "plain file name"),
    "a huge shape": (setting("values", "w", "shape", to=[2**40, 2**40]), "data files hold"),
    "a huge file": (setting("files", FILES[2], "bytes", to=2**60), "bytes in place of"),
    "a huge value in it": (
        huge_value,
        "bytes in place of",
    ),
    "another shape": (setting("values", "step", "shape", to=[1, 1]), r"'step' is int32 \[\]"),
    "another dtype": (setting("values", "step", "dtype", to="float32"), "and float32 .. in the m"),
    "another hash of a value": (setting("values", "step", "sha256", to="0" * 64), "'step' is not"),
    "a value that is not there": (setting("values", "x", to=VALUE), "'x' is missing in Tens"),
    "a value that is not told of": (lambda f: f["values"].pop("step") and None, "missing in the m"),
    "an unknown dtype": (setting("values", "step", "dtype", to="variant"), "'variant' is unknown"),
    "an empty name": (setting("values", "", to=VALUE), "cannot be the name"),
    "a weight more": (setting("values", "step", "weight", to=True), "not the hash of its weights"),
    "another serial": (setting("serial", to=3), "its manifest is of serial 3"),
    "another step": (setting("step", to=77), "its manifest is of serial 2, step 77"),
    "no index": (lambda f: f["files"].pop("state.index") and None, "lacks state.index"),
    "no data": (lambda f: f["files"].pop(FILES[2]) and None, "its data files hold 0"),
    "two values of one name": (
        lambda f: json.dumps(f).replace('"words":', '"step":').encode(),
        "the key 'step' twice",
    ),
    "deep": (
        lambda f: json.dumps(f).replace('"plain": {', '"plain": ' + '{"x":' * 10**5 + "{").encode(),
        "nests deeper",
    ),
    "long": (lambda f: b" " * (64 * 2**20 + 1), "longer than 67,108,864 bytes"),
    "not text": (lambda f: b"\xff\xfe\x00", "decode"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_checkpoint_is_refused(folder, case):
    edit, message = CRAFTED[case]
    (folder.parent / "secret").write_bytes(b"secret")
    forge(folder, edit)
    if message is None:
        assert is_whole(Checkpoints(folder), NEW)  # the forger's checksums are taken for right
        return
    with pytest.raises(CorruptCheckpointError, match=message) as caught:
        Checkpoints(folder).load(NEW)
    assert len(str(caught.value)) < 1000
    assert is_whole(Checkpoints(folder), OLD)


def test_a_link_in_place_of_a_checkpoint_is_none(folder):
    os.rename(folder / NEW, folder.parent / "elsewhere")
    (folder / NEW).symlink_to(folder.parent / "elsewhere")
    with Store(folder) as store:
        assert store.names() == [OLD] and store.newest().name == OLD
        with pytest.raises(CheckpointError, match="is no folder"):
            store.remove(NEW)
        assert store.commit(content(3)) == "000003-step-3"  # its serial is not given again
    assert len(os.listdir(folder.parent / "elsewhere")) == len(FILES)


# Failing disks, put in at the system calls.


class Failing:
    """Makes the n-th call that changes the disk fail; a write stops short before it does."""

    CALLS = ("mkdir", "open", "write", "fsync", "rename")

    def __init__(self, patch, number):
        self.left, self.number, self.seen = 0, number, []
        self.real = {name: getattr(os, name) for name in self.CALLS}
        for name in self.CALLS:
            patch.setattr(os, name, lambda *a, _name=name, **k: self.call(_name, *a, **k))
        save = bundle.write

        def write(prefix, values):
            if self.due("tensors"):
                with open(f"{prefix}.data-00000-of-00001.tempstate1", "wb") as part:
                    part.write(b"half")
                raise tf.errors.ResourceExhaustedError(None, None, f"{prefix}; No space left")
            save(prefix, values)

        patch.setattr(bundle, "write", write)

    def due(self, name):
        if self.left:
            self.left -= 1
            self.seen.append(name)
            return not self.left
        return False

    def call(self, name, *args, **kwargs):
        changes = name != "open" or args[1] & os.O_CREAT
        if changes and self.due(name):
            if name == "write":
                self.real["write"](args[0], args[1][: len(args[1]) // 2])
            raise OSError(self.number, os.strerror(self.number))
        return self.real[name](*args, **kwargs)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "No space left.* Free some space there, or keep fewer"),
        (errno.EACCES, "Permission denied.* Make the folder writable"),
        (errno.EROFS, "Read-only file system.* Make the folder writable"),
        (errno.EIO, "Input/output error.* Checkpoints committed before are whole"),
    ],
)
def test_a_disk_that_fails_at_any_call_costs_nothing_but_the_attempt(folder, number, message):
    with Store(folder) as store, pytest.MonkeyPatch.context() as patch:
        disk = Failing(patch, number)
        before, failures = store.names(), 0
        for at in range(1, 100):
            disk.left, disk.seen = at, []
            try:
                name = store.commit(content(3))
            except CheckpointWriteError as error:
                disk.left, failures = 0, failures + 1
                last = disk.seen[-1]
                said = "No space left|Free some" if last == "tensors" else message
                if disk.seen.count("rename") and last == "fsync":
                    # All is in place, but not yet sure to survive a power cut.
                    assert "is written and whole, but its folder could not be synced" in str(error)
                    before.append(store.names()[-1])
                else:
                    assert re.search(said, str(error)) and str(folder) in str(error), str(error)
                assert sorted(os.listdir(folder)) == sorted([*before, "lock"])
            else:
                disk.left = 0
                before.append(name)
                break
        assert failures >= 10  # makedirs, tensors, 2 + 2 + 2 syncs, 2 writes, rename, ...
        assert store.names() == before
        assert all(is_whole(store, name) for name in before)


def test_a_disk_that_fails_for_good_is_told_even_if_nothing_can_be_cleared(folder, monkeypatch):
    with Store(folder) as store:
        disk = Failing(monkeypatch, errno.EROFS)
        disk.left = 3
        monkeypatch.setattr(
            shutil, "rmtree", lambda path: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only"))
        )
        with pytest.raises(CheckpointWriteError, match="Read-only"):
            store.commit(content(3))
        monkeypatch.undo()
        assert store.names() == [OLD, NEW]
        assert store.commit(content(3)) == "000004-step-3"  # not into what was left of the other
    with Store(folder) as store:
        assert sorted(os.listdir(folder)) == [OLD, NEW, "000004-step-3", "lock"]


def test_a_failing_remote_place_costs_nothing_but_the_attempt(monkeypatch):
    with Store("ram://failing/a") as store:
        store.commit(content(1))
        gfile = tf.io.gfile.GFile

        class Full(gfile):
            def write(self, data):
                raise tf.errors.UnavailableError(None, None, "the server is gone")

        monkeypatch.setattr(tf.io.gfile, "GFile", Full)
        with pytest.raises(CheckpointWriteError, match=r"ram://failing/a.*the server is gone"):
            store.commit(content(2))
        monkeypatch.undo()
        assert store.names() == [OLD] == store._files.listing()
        assert store.commit(content(2)) == NEW and is_whole(store, NEW)


@pytest.mark.parametrize("call", ["makedirs", "open", "listdir"])
def test_a_folder_that_cannot_be_opened_is_named(tmp_path, monkeypatch, call):
    def denied(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, call, denied)
    with pytest.raises(CheckpointWriteError, match=r"run: opening failed: Permission denied.*Make"):
        Store(tmp_path / "run").__enter__()


def test_a_folder_that_vanishes_amid_a_commit_costs_that_one_alone(folder, monkeypatch):
    with Store(folder) as store:
        write = store._write_manifest

        def late(*arguments):
            shutil.rmtree(folder)
            write(*arguments)

        monkeypatch.setattr(store, "_write_manifest", late)
        with pytest.raises(CheckpointWriteError, match="No such file or directory"):
            store.commit(content(3))
        monkeypatch.undo()
        name = store.commit(content(4))
        assert store.names() == [name] and is_whole(store, name)


def test_what_cannot_be_read_back_is_not_committed(folder, monkeypatch):
    save = bundle.write

    def lost(prefix, values):
        save(prefix, values)
        os.unlink(f"{prefix}.index")
        os.mkdir(f"{prefix}.index")

    monkeypatch.setattr(bundle, "write", lost)
    with Store(folder) as store:
        with pytest.raises(CheckpointWriteError, match=r"read back: state\.index is not a pl"):
            store.commit(content(3))
        assert sorted(os.listdir(folder)) == [OLD, NEW, "lock"]


def test_an_interrupt_amid_a_commit_leaves_nothing(folder, monkeypatch):
    def interrupted(prefix, values):
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "write", interrupted)
    with Store(folder) as store:
        with pytest.raises(KeyboardInterrupt):
            store.commit(content(3))
        assert sorted(os.listdir(folder)) == [OLD, NEW, "lock"]


# Failing disks, real.


@pytest.fixture
def disk(tmp_path):
    """A file system of 4 MB; `disk.remount(how)` changes it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this user may not mount a file system: {error}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(disk):
    with Store(disk / "run") as store:
        writer = Writer(store, Retention(keep_last=None))
        for step in range(1, 6):
            writer.put(content(step, 300_000))  # 1.2 MB
        assert writer.flush(20)
        error = writer.failure()
        assert isinstance(error, CheckpointWriteError)
        assert "No space left on device. Free some space there, or keep fewer" in str(error)
        names = store.names()
        assert names == ["000001-step-1", "000002-step-2", "000003-step-3"]
        assert sorted(os.listdir(disk / "run")) == [*names, "lock"]
        store.remove(names[0])
        writer.put(content(6, 300_000))
        assert writer.close(20) and writer.failure() is None
        assert all(is_whole(store, name) for name in store.names())
        assert store.names()[-1] == "000004-step-6"


def test_a_read_only_disk(disk):
    run = disk / "run"
    with Store(run) as store:
        for step in (1, 2):
            store.commit(content(step))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(CheckpointWriteError, match=f"{run}: opening failed: Read-only"), Store(run):
        pass
    with pytest.raises(CheckpointWriteError, match=r"Read-only file system.*Make the folder"):
        Store(run).pin(OLD)
    assert Store(run).newest().name == NEW  # reading needs no lock
    assert is_whole(Checkpoints(run), NEW)


def test_a_folder_that_turns_read_only(folder):
    with Store(folder) as store:
        change = ["chattr", "+i", str(folder)]
        if shutil.which("chattr") is None or subprocess.run(change, check=False).returncode:
            pytest.skip("this user or file system cannot make a folder immutable")
        try:
            for write in (
                lambda: store.commit(content(3)),
                lambda: store.remove(OLD),
                lambda: store.set_aside(OLD),
            ):
                with pytest.raises(CheckpointWriteError, match=r"not permitted.*Make the folder"):
                    write()
            assert store.names() == [OLD, NEW]
            assert is_whole(store, OLD) and is_whole(store, NEW)
        finally:
            subprocess.run(["chattr", "-i", str(folder)], check=True)
        assert store.commit(content(3)) == "000003-step-3"
