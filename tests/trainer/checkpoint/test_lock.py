"""The lock keeps others out, tells who is inside, and is free when its holder is gone."""

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys

import pytest

from trainer.checkpoint import lock as module
from trainer.checkpoint.errors import StoreInUseError
from trainer.checkpoint.lock import Lock


@pytest.fixture
def lock(tmp_path):
    made = Lock(str(tmp_path), "runs/a")
    yield made
    made.release()


def test_one_at_a_time(lock, tmp_path):
    other = Lock(str(tmp_path), "runs/a")
    lock.take()
    assert lock.taken and lock.real and not lock.lost
    with pytest.raises(StoreInUseError, match="runs/a is in use by another store of this very"):
        other.take()
    assert not other.taken
    lock.release()
    lock.release()
    other.take()
    other.release()


HOLD = """
import fcntl, json, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
os.write(fd, json.dumps({"pid": os.getpid(), "host": "there", "since": "noon"}).encode())
print("ready", flush=True)
time.sleep(60)
"""


def test_a_killed_holder_holds_nothing(lock, tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "ready\n"
        message = f"in use by process {child.pid} on there, since noon.*end that one or wait"
        with pytest.raises(StoreInUseError, match=message):
            lock.take()
        child.send_signal(signal.SIGKILL)
        child.wait()
    lock.take()
    assert lock.real


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff" * 9000])
def test_a_holder_that_says_nothing_is_another_process(lock, tmp_path, text):
    lock.take()
    (tmp_path / "lock").write_bytes(text)
    with pytest.raises(StoreInUseError, match="in use by another process"):
        Lock(str(tmp_path), "runs/a").take()


def test_it_is_lost_with_its_file_and_can_be_taken_again(lock, tmp_path):
    lock.take()
    (tmp_path / "lock").unlink()
    assert lock.lost
    lock.take()
    assert lock.real and not lock.lost
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").write_bytes(b"")  # another file of that name
    assert lock.lost


def test_a_file_deleted_while_it_is_being_locked_is_locked_anew(lock, tmp_path, monkeypatch):
    flock, calls = fcntl.flock, []

    def flock_late(fd, how):
        if not calls:
            (tmp_path / "lock").unlink()
        calls.append(fd)
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock_late)
    lock.take()
    assert len(calls) == 2
    assert not lock.lost


def test_a_forked_child_does_not_hold_it(lock, tmp_path):
    lock.take()
    child = os.fork()
    if child == 0:
        os._exit(0 if not lock.taken and not lock.real else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert lock.real
    with pytest.raises(StoreInUseError):
        Lock(str(tmp_path), "runs/a").take()


def test_where_there_are_no_locks_it_is_said_once_and_all_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "_told", set())
    remote = Lock(None, "gs://b/run")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            remote.take()
            assert remote.taken and not remote.real and not remote.lost
            remote.release()
            assert not remote.taken

        def refuse(fd, how):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        local = Lock(str(tmp_path), "/nfs/run")
        local.take()
        assert local.taken and not local.real
        monkeypatch.setattr(module, "fcntl", None)  # as on Windows
        windows = Lock(str(tmp_path), "D:/run")
        windows.take()
        assert windows.taken and not windows.real
    said = [record.getMessage().split(":")[0] for record in caplog.records]
    assert said == ["gs", "/nfs/run", "D"]


def test_other_errors_are_not_swallowed(lock, tmp_path):
    os.symlink(tmp_path / "elsewhere", tmp_path / "lock")
    with pytest.raises(OSError) as caught:
        lock.take()
    assert caught.value.errno == errno.ELOOP
    assert not lock.taken and not (tmp_path / "elsewhere").exists()


def test_a_full_disk_loses_only_the_words_for_people(lock, monkeypatch):
    def full(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    lock.take()
    assert lock.real
