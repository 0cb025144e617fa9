"""The few file operations that checkpoints need, for local folders and for remote ones.

Local (a path of this machine, or `file://`): what `write` and `sync` have returned from survives a
power cut, as far as the disk keeps what fsync promises; `rename` is atomic and, after `sync` of the
folder around it, survives too. Nothing here follows a symbolic link below the root, and only plain
files are read.

Remote (any other scheme that `tf.io.gfile` knows, `gs://` say): a file is there, whole, once
`write` has returned; nothing can be synced, and a folder cannot be renamed in one piece. So nothing
can be built aside and put in place: whoever writes several files must write last the one that
makes the others count. `move` goes file by file, in an order the caller chooses.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
import stat
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from trainer.checkpoint.errors import CheckpointError, CorruptCheckpointError

BLOCK = 4 * 2**20  # bytes hashed at a time

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # two letters at least: C:/ is a drive
_READABLE = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_WRITABLE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
_WRITABLE |= getattr(os, "O_BINARY", 0)
# A link is refused by the system itself, and opening a pipe does not wait for its writer.
_STRICT = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# Errors that speak of the file; all others (rights, memory, a lost server) say nothing about it.
_OF_THE_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EIO}
_OF_THE_FILE |= {getattr(errno, name, errno.EIO) for name in ("EUCLEAN", "EBADMSG", "EMLINK")}


class Digest(NamedTuple):
    """What a file holds, in short."""

    sha256: str  # 64 hexadecimal digits
    bytes: int


class Files(Protocol):
    """Files in a folder; each is named by its path from there, one argument per part.

    A part is a plain name (see `plain`), so that no path leads out of the root.
    """

    root: str
    remote: bool

    def path(self, *parts: str) -> str:
        """The whole path, for TensorFlow and for people."""
        ...

    def make(self, *parts: str) -> None:
        """Makes a folder and those around it; one that is there already is fine."""
        ...

    def listing(self, *parts: str) -> list[str]:
        """The names in a folder, sorted; none when there is no such folder."""
        ...

    def kind(self, *parts: str) -> str | None:
        """`"file"`, `"folder"`, `"other"` (a link, a pipe), or None where there is nothing."""
        ...

    def size(self, *parts: str) -> int:
        """Bytes of a plain file."""
        ...

    def read(self, *parts: str, limit: int) -> bytes:
        """All bytes of a plain file; one longer than `limit` is refused as corrupt."""
        ...

    def digest(self, *parts: str) -> Digest:
        """Hash and length of a plain file, read by blocks."""
        ...

    def write(self, data: bytes, *parts: str) -> None:
        """Makes a new file that holds `data`, as durable as the place allows."""
        ...

    def sync(self, *parts: str) -> None:
        """Local: waits until a file, or a folder's list of names, is on disk."""
        ...

    def move(self, old: str, new: str, first: Sequence[str] = ()) -> None:
        """Renames a folder in the root: at once, or remotely file by file, `first` first."""
        ...

    def remove(self, *parts: str, first: Sequence[str] = ()) -> None:
        """Deletes a file, or a folder with all that is in it, the files `first` first."""
        ...


def plain(name: Any) -> str:
    """The name itself, if it is a plain file name.

    Raises:
        ValueError: it is empty, `.` or `..`, longer than 255 bytes, or holds a separator, a colon
            or a control character: such a name could lead to another folder.
    """
    if (
        not isinstance(name, str)
        or name in ("", ".", "..")
        or re.search(r"[/\\:\x00-\x1f\x7f-\x9f\ud800-\udfff]", name)
        or len(name.encode()) > 255
    ):
        raise ValueError(f"{str(name)[:80]!r} is not a plain file name.")
    return name


def open_folder(directory: Any) -> Files:
    """The files of a folder, which need not exist; nothing is touched.

    Args:
        directory: a local path (`~` is the user's home), or one with a scheme, such as
            `gs://bucket/run`, as a string.

    Raises:
        ValueError: the path is empty, or has lost a slash of its scheme on the way.
    """
    path = os.fspath(directory)
    if not isinstance(path, str) or not path:
        raise ValueError(f"directory={directory!r}: it must be a path, not empty, as a string.")
    scheme = _SCHEME.match(path)
    if scheme is None:
        return _Local(os.path.abspath(os.path.expanduser(path)))
    if "://" not in path:
        raise ValueError(
            f"directory={directory!r}: `{scheme[1]}:/` is neither a local path nor remote. "
            "pathlib drops a slash of `://`: pass remote paths as strings."
        )
    if scheme[1].lower() == "file":
        return _Local(os.path.abspath(path[len("file://") :]))
    return _Remote(path.rstrip("/"))


class _Local:
    """Files of this machine."""

    remote = False

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, *parts: str) -> str:
        return os.path.join(self.root, *map(plain, parts))

    def make(self, *parts: str) -> None:
        os.makedirs(self.path(*parts), exist_ok=True)

    def listing(self, *parts: str) -> list[str]:
        try:
            return sorted(os.listdir(self.path(*parts)))
        except FileNotFoundError:
            return []

    def kind(self, *parts: str) -> str | None:
        try:
            mode = os.lstat(self.path(*parts)).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"

    def size(self, *parts: str) -> int:
        return self._reading(parts, lambda fd: os.fstat(fd).st_size)

    def read(self, *parts: str, limit: int) -> bytes:
        def whole(fd: int) -> bytes:
            held = bytearray()
            while len(held) <= limit and (block := os.read(fd, min(BLOCK, limit + 1))):
                held += block
            return bytes(held)

        return _bounded(self._reading(parts, whole), limit, parts[-1])

    def digest(self, *parts: str) -> Digest:
        def hashed(fd: int) -> Digest:
            digest, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(BLOCK))
            with io.FileIO(fd, closefd=False) as file:
                while n := file.readinto(buffer):
                    digest.update(buffer[:n])
                    size += n
            return Digest(digest.hexdigest(), size)

        return self._reading(parts, hashed)

    def write(self, data: bytes, *parts: str) -> None:
        fd = os.open(self.path(*parts), _WRITABLE, 0o666)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left) :]
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync(self, *parts: str) -> None:
        path = self.path(*parts)
        folder = os.path.isdir(path)
        if folder and os.name == "nt":
            return  # Windows has no such call
        fd = os.open(path, _READABLE)
        try:
            os.fsync(fd)
        except OSError as error:
            if not (folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):
                raise  # some file systems cannot sync a folder, and say so in this way
        finally:
            os.close(fd)

    def move(self, old: str, new: str, first: Sequence[str] = ()) -> None:
        # A rename would silently replace an empty folder.
        if os.path.lexists(self.path(new)):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path(new))
        os.rename(self.path(old), self.path(new))

    def remove(self, *parts: str, first: Sequence[str] = ()) -> None:
        path = self.path(*parts)
        if self.kind(*parts) == "folder":
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def _reading(self, parts: Sequence[str], use: Callable[[int], Any]) -> Any:
        path = self.path(*parts)
        try:
            fd = os.open(path, _READABLE | _STRICT)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise CorruptCheckpointError(f"{parts[-1]} is not a plain file.")
                return use(fd)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno not in _OF_THE_FILE:
                raise CheckpointError(
                    f"{path} cannot be read: {error.strerror}. This says nothing about the "
                    "checkpoint itself; put it right and try again."
                ) from error
            raise CorruptCheckpointError(f"{parts[-1]} {_why(error)}.") from error


class _Remote:
    """Files of a file system that TensorFlow reaches."""

    remote = True

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, *parts: str) -> str:
        return "/".join([self.root, *map(plain, parts)])

    def make(self, *parts: str) -> None:
        tf.io.gfile.makedirs(self.path(*parts))

    def listing(self, *parts: str) -> list[str]:
        try:
            names = tf.io.gfile.listdir(self.path(*parts))
        except tf.errors.NotFoundError:
            return []
        return sorted(name.rstrip("/") for name in names)

    def kind(self, *parts: str) -> str | None:
        path = self.path(*parts)
        if tf.io.gfile.isdir(path):
            return "folder"
        return "file" if tf.io.gfile.exists(path) else None

    def size(self, *parts: str) -> int:
        return self._reading(parts, lambda: tf.io.gfile.stat(self.path(*parts)).length)

    def read(self, *parts: str, limit: int) -> bytes:
        def whole() -> bytes:
            with tf.io.gfile.GFile(self.path(*parts), "rb") as file:
                return file.read(limit + 1)

        return _bounded(self._reading(parts, whole), limit, parts[-1])

    def digest(self, *parts: str) -> Digest:
        def hashed() -> Digest:
            digest, size = hashlib.sha256(), 0
            with tf.io.gfile.GFile(self.path(*parts), "rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
                    size += len(block)
            return Digest(digest.hexdigest(), size)

        return self._reading(parts, hashed)

    def write(self, data: bytes, *parts: str) -> None:
        with tf.io.gfile.GFile(self.path(*parts), "wb") as file:
            file.write(data)

    def sync(self, *parts: str) -> None:
        pass  # a written file is durable; folders have no existence of their own

    def move(self, old: str, new: str, first: Sequence[str] = ()) -> None:
        self.make(new)
        for name in _ordered(self.listing(old), first):
            tf.io.gfile.rename(self.path(old, name), self.path(new, name), overwrite=True)
        tf.io.gfile.rmtree(self.path(old))

    def remove(self, *parts: str, first: Sequence[str] = ()) -> None:
        if self.kind(*parts) != "folder":
            tf.io.gfile.remove(self.path(*parts))
            return
        for name in first:
            if self.kind(*parts, name):
                tf.io.gfile.remove(self.path(*parts, name))
        tf.io.gfile.rmtree(self.path(*parts))

    def _reading(self, parts: Sequence[str], use: Callable[[], Any]) -> Any:
        path = self.path(*parts)
        try:
            return use()
        except (tf.errors.NotFoundError, tf.errors.DataLossError, tf.errors.OutOfRangeError) as e:
            raise CorruptCheckpointError(f"{parts[-1]} {_why(e)}.") from e
        except tf.errors.FailedPreconditionError as error:  # a folder
            raise CorruptCheckpointError(f"{parts[-1]} is not a plain file.") from error
        except (OSError, tf.errors.OpError) as error:
            raise CheckpointError(
                f"{path} cannot be read: {cause(error)}. This says nothing about the checkpoint "
                "itself; put it right and try again."
            ) from error


def cause(error: BaseException) -> str:
    """What an error of the system or of TensorFlow says, without the names of operations."""
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where}"
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    text = re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:\w+\]", "", text)
    return text.strip().rstrip(".")


def _bounded(data: bytes, limit: int, name: str) -> bytes:
    if len(data) > limit:
        raise CorruptCheckpointError(f"{name} is longer than {limit:,} bytes.")
    return data


def _ordered(names: Sequence[str], first: Sequence[str]) -> list[str]:
    return [*(n for n in first if n in names), *(n for n in names if n not in first)]


def _why(error: BaseException) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError, tf.errors.NotFoundError)):
        return "is missing"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "is a link, not a plain file"
    return f"cannot be read: {cause(error)}"
