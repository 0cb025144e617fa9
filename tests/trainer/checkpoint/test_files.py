"""File operations, the same for local and remote folders; the reference is the file system."""

import errno
import hashlib
import os
import pathlib

import pytest
import tensorflow as tf

from trainer.checkpoint import files
from trainer.checkpoint.errors import CheckpointError, CorruptCheckpointError


@pytest.fixture
def folder(place):
    made = files.open_folder(place)
    made.make("run")
    return made


@pytest.fixture
def local(tmp_path):
    return files.open_folder(tmp_path)


def test_opening_a_folder_touches_nothing(place):
    folder = files.open_folder(place)
    assert folder.listing() == []
    assert folder.kind() is None
    assert not tf.io.gfile.exists(place)


def test_what_is_written_is_read_and_hashed(folder):
    data = bytes(range(256)) * 20_000  # more than a block
    folder.write(data, "run", "x")
    folder.sync("run", "x")
    folder.sync("run")
    assert folder.listing("run") == ["x"]
    assert folder.read("run", "x", limit=len(data)) == data
    assert folder.size("run", "x") == len(data)
    assert folder.digest("run", "x") == (hashlib.sha256(data).hexdigest(), len(data))
    assert (folder.kind("run"), folder.kind("run", "x"), folder.kind("y")) == (
        "folder",
        "file",
        None,
    )


def test_reading_is_bounded(folder):
    folder.write(b"12345", "run", "x")
    with pytest.raises(CorruptCheckpointError, match="x is longer than 4 bytes"):
        folder.read("run", "x", limit=4)


@pytest.mark.parametrize("call", ["read", "digest", "size"])
def test_missing_files_and_folders_are_not_read(folder, call):
    more = {"limit": 9} if call == "read" else {}
    with pytest.raises(CorruptCheckpointError, match="x is missing"):
        getattr(folder, call)("run", "x", **more)
    with pytest.raises(CorruptCheckpointError, match="x is missing"):
        getattr(folder, call)("absent", "x", **more)


def test_folders_are_moved_and_removed_with_all_in_them(folder):
    for name in ("a", "last", "b"):
        folder.write(name.encode(), "run", name)
    folder.move("run", "gone", first=["last", "absent"])
    assert folder.kind("run") is None
    assert folder.listing("gone") == ["a", "b", "last"]
    assert folder.read("gone", "b", limit=9) == b"b"
    folder.remove("gone", "a")
    folder.remove("gone", first=["last", "absent"])
    assert folder.kind("gone") is None


def test_remotely_the_first_files_go_first(monkeypatch):
    folder = files.open_folder("ram://order/a")
    folder.make("run")
    for name in ("a", "last", "b"):
        folder.write(b"", "run", name)
    order = []
    rename, remove = tf.io.gfile.rename, tf.io.gfile.remove
    monkeypatch.setattr(
        tf.io.gfile, "rename", lambda a, b, **k: (order.append(a[-4:]), rename(a, b, **k))
    )
    monkeypatch.setattr(tf.io.gfile, "remove", lambda a: (order.append(a[-4:]), remove(a)))
    folder.move("run", "new", first=["last"])
    folder.remove("new", first=["last"])
    assert order == ["last", "un/a", "un/b", "last"]


NOT_PLAIN = [
    "",
    ".",
    "..",
    "a/b",
    "../a",
    "a\\b",
    "C:x",
    "a\0",
    "a\n",
    "\x9b",
    "\ud800",
    "é" * 128,
    1,
]


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_only_plain_names_lead_anywhere(folder, name):
    with pytest.raises(ValueError, match="is not a plain file name"):
        folder.path("run", name)
    assert files.plain("état-1.x") == "état-1.x"


def test_paths_are_read_as_people_mean_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    roots = {
        "runs": str(tmp_path / "runs"),
        "~/runs": "/home/me/runs",
        pathlib.Path("runs"): str(tmp_path / "runs"),
        "file:///data/x": "/data/x",
        "gs://bucket/run/": "gs://bucket/run",
        "c:/x": str(tmp_path / "c:/x"),
    }
    assert {path: files.open_folder(path).root for path in roots} == roots
    assert files.open_folder("gs://b").remote and not files.open_folder("file:///b").remote


@pytest.mark.parametrize("path", ["", b"x", pathlib.Path("gs://bucket/run")])
def test_paths_that_cannot_be_meant_are_refused(path):
    with pytest.raises(ValueError, match="directory="):
        files.open_folder(path)


def test_links_pipes_and_folders_are_not_files(local, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    os.symlink(tmp_path / "secret", tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, message in {
        "link": "link is a link",
        "pipe": "pipe is not a plain file",  # and nobody waits for its writer
        "folder": "folder is not a plain file",
    }.items():
        with pytest.raises(CorruptCheckpointError, match=message):
            local.read(name, limit=99)
        with pytest.raises(CorruptCheckpointError, match=message):
            local.digest(name)
    assert [local.kind(n) for n in ("link", "pipe", "folder")] == ["other", "other", "folder"]


def test_removing_a_link_leaves_what_it_points_to(local, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").write_bytes(b"x")
    os.symlink(tmp_path / "kept", tmp_path / "link")
    local.make("run")
    os.symlink(tmp_path / "kept", tmp_path / "run" / "link")
    local.remove("link")
    local.remove("run")
    assert local.listing() == ["kept"]
    assert (tmp_path / "kept" / "x").exists()


def test_nothing_is_overwritten(local):
    local.write(b"1", "x")
    with pytest.raises(FileExistsError):
        local.write(b"2", "x")
    local.make("a")
    local.make("b")
    with pytest.raises(FileExistsError):  # a bare rename would replace an empty folder
        local.move("a", "b")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EIO, CorruptCheckpointError),
        (errno.EACCES, CheckpointError),
        (errno.EMFILE, CheckpointError),
        (errno.ESTALE, CheckpointError),
    ],
)
def test_only_errors_of_the_file_itself_make_it_corrupt(local, monkeypatch, number, kind):
    local.write(b"1", "x")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(CheckpointError, match=os.strerror(number)) as caught:
        local.digest("x")
    assert type(caught.value) is kind


def test_a_file_system_that_cannot_sync_folders_is_borne_and_other_failures_are_not(
    local, monkeypatch
):
    local.write(b"1", "x")
    number = errno.EINVAL

    def fail(fd):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "fsync", fail)
    local.sync()
    with pytest.raises(OSError):
        local.sync("x")
    number = errno.EIO
    with pytest.raises(OSError):
        local.sync()


def test_writing_goes_on_where_the_system_stopped_short(local, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    local.write(b"0123456789", "x")
    assert local.read("x", limit=99) == b"0123456789"


def test_causes_are_told_without_tensorflows_own_names():
    error = tf.errors.ResourceExhaustedError(
        None, None, "{{function_node __wrapped__SaveV2}} /a/b; No space left on device [Op:SaveV2]"
    )
    assert files.cause(error) == "/a/b; No space left on device"
    assert files.cause(OSError(errno.EROFS, "Read-only", "/a")) == "Read-only: /a"
    assert files.cause(OSError("odd")) == "odd"
