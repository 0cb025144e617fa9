"""A lock on a folder: who holds it alone may write there.

It is the system's own lock on a file (`flock`), so that it is free at once when its holder ends,
however that ends. The file says who holds it, for people; it is never removed, as another process
may be about to lock it.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import socket
import weakref
from typing import Any

from absl import logging

from trainer.checkpoint.errors import StoreInUseError

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None  # type: ignore[assignment]

NAME = "lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # a file system without them
_held: weakref.WeakSet[Lock] = weakref.WeakSet()
_told: set[str] = set()


class Lock:
    """The lock of one folder. Where there are no locks, a warning says so once, and all goes on.

    Args:
        folder: a local folder, or None for a remote one, which has no lock.
        shown: the folder's name for people.
    """

    def __init__(self, folder: str | None, shown: str) -> None:
        self._folder, self._shown = folder, shown
        self._fd: int | None = None
        self._taken = False

    @property
    def taken(self) -> bool:
        """Whether this process has taken it, or there are no locks and it need not."""
        return self._taken

    @property
    def real(self) -> bool:
        """Whether it keeps others out."""
        return self._fd is not None

    @property
    def lost(self) -> bool:
        """Whether the file that is locked lies no longer in the folder: somebody deleted it."""
        if self._fd is None:
            return False
        assert self._folder is not None
        try:
            path = os.path.join(self._folder, NAME)
            return not os.path.samestat(os.stat(path), os.fstat(self._fd))
        except FileNotFoundError:
            return True

    def take(self) -> None:
        """Takes the lock of a folder that exists.

        Raises:
            StoreInUseError: somebody else has it.
        """
        if self._folder is None or fcntl is None:
            _tell(self._shown)
        else:
            self.release()
            while self._fd is None or self.lost:  # deleted between opening and locking: once more
                self.release()
                if not self._lock(os.path.join(self._folder, NAME)):
                    _tell(self._shown)
                    break
        self._taken = True

    def release(self) -> None:
        """Gives the lock back; harmless when it is not held."""
        self._taken = False
        _held.discard(self)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _lock(self, path: str) -> bool:
        """Opens and locks the file; False where the file system has no locks."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(OSError):  # a full disk: only the words for people are lost
                os.ftruncate(fd, 0)
                os.write(fd, json.dumps(_me()).encode())
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise StoreInUseError(_in_use(self._shown, fd)) from None
            if error.errno in _NO_LOCKS:
                return False
            raise
        else:
            self._fd, fd = fd, -1
            _held.add(self)
            return True
        finally:
            if fd >= 0:
                os.close(fd)


def _me() -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    since = now.strftime("%Y-%m-%d %H:%M:%S UTC")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _in_use(shown: str, fd: int) -> str:
    """What to tell somebody who finds the folder locked, from what its holder wrote there."""
    who = "another process"
    with contextlib.suppress(OSError, ValueError):  # it may be writing just now
        told = json.loads(os.pread(fd, 4096, 0))
        if isinstance(told, dict):
            who = f"process {told.get('pid')} on {told.get('host')}, since {told.get('since')}"
            if told.get("pid") == os.getpid() and told.get("host") == socket.gethostname():
                who = f"another store of this very process, since {told.get('since')}"
    return (
        f"{shown} is in use by {who}. Two writers would remove each other's checkpoints: end that "
        "one or wait for it, or choose another folder. Nothing needs to be cleaned up after a "
        "process that was killed."
    )


def _tell(shown: str) -> None:
    if shown not in _told:
        _told.add(shown)
        logging.warning(
            "%s: there are no locks here, so nothing keeps a second process out. "
            "Let only one write into this folder.",
            shown,
        )


def _forget_in_child() -> None:
    """After a fork the lock is the parent's alone, and free when the parent ends."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
