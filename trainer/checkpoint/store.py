"""The folder of a run's checkpoints: commit, verify, load, set aside, remove.

    000017-step-3400/            a checkpoint: its serial, which only grows, and its step
        state.index              the tensors, as TensorFlow writes them
        state.data-00000-of-00001
        manifest.json            what it holds, with a hash of every file and value
        manifest.json.sha256     hashes of the manifest and of the files, for `sha256sum -c`
        pinned                   there if it must never be removed
    corrupt-000016-step-3200/    set aside: it did not verify
    lock                         who writes here

A checkpoint is built in a folder `.tmp-...` beside the others, synced, and put in place by one
rename; it is removed by a rename to `.trash-...` before anything in it is deleted. So whenever a
process ends, each folder under its own name is whole, and what begins with `.tmp-` or `.trash-` is
swept by the next one. On remote paths (see `files`) it is written in place, and counts from the
moment its checksums, written last, are there; what was left unfinished there is never swept, as it
may be another process's that is still at work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from absl import logging

from trainer.checkpoint import bundle, exact_json
from trainer.checkpoint.errors import (
    CheckpointError,
    CheckpointWriteError,
    CorruptCheckpointError,
    StoreInUseError,
)
from trainer.checkpoint.files import cause
from trainer.checkpoint.lock import Lock
from trainer.checkpoint.manifest import CHECKSUM, DATA, MANIFEST, Manifest, checksums, hash_weights
from trainer.checkpoint.reading import ASIDE, PINNED, Checkpoints
from trainer.checkpoint.retention import Entry

_NUMBERED = re.compile(r"(?:\.tmp-|\.trash-|corrupt-)*(\d{6,18})-step-\d{1,18}(?:-\d+)?")
_LEFTOVER = re.compile(r"\.(?:tmp|trash)-(?:corrupt-)?\d{6,18}-step-\d{1,18}(?:-\d+)*")


class Content(NamedTuple):
    """What a checkpoint is made of.

    Attributes:
        step: updates made so far.
        values: name -> eager tensor, such as `variable.read_value()`: a snapshot that later
            updates do not touch, at no cost. They are written as they are; no copy is made.
        weights: which of the names are the model's weights.
        metrics: the logged values of this moment.
        header: what the writer tells of itself; a tree for JSON (see `exact_json`).
        plain: whatever else belongs to the state; a tree for JSON.
    """

    step: int
    values: Mapping[str, tf.Tensor]
    weights: Collection[str] = ()
    metrics: Mapping[str, float] = {}
    header: Mapping[str, Any] = {}
    plain: Any = None


class SetAside(NamedTuple):
    """A checkpoint that did not verify."""

    name: str
    reason: str
    moved_to: str | None  # None without the lock: it lies where it was


class Found(NamedTuple):
    """The newest checkpoint that verifies."""

    name: str
    manifest: Manifest
    set_aside: tuple[SetAside, ...]  # newer ones that do not


class Store(Checkpoints):
    """A folder of checkpoints, for reading and writing.

    Reading needs nothing. Writing needs the lock: `with Store(directory) as store:` makes the
    folder, takes the lock, and sweeps what a killed process left. Only one thread at a time may
    write.

    Args:
        directory: a local path, or one with a scheme that `tf.io.gfile` knows, as a string. It need
            not exist; nothing is touched before it is needed.

    Example:
        >>> import tempfile
        >>> with Store(tempfile.mkdtemp()) as store:
        ...     name = store.commit(Content(step=7, values={"w": tf.ones([2])}, weights=["w"]))
        >>> name
        '000001-step-7'
        >>> manifest, values = store.load(name)
        >>> manifest.step, values["w"].numpy().tolist()
        (7, [1.0, 1.0])
    """

    def __init__(self, directory: Any) -> None:
        super().__init__(directory)
        self._lock = Lock(None if self._files.remote else self.directory, self.directory)
        self._serial = 0  # the highest this store has given

    # Opening and closing.

    def __enter__(self) -> Store:
        if self._lock.taken:
            raise StoreInUseError(f"{self.directory}: this store is open already.")
        with self._writing("opening"):
            self._files.make()
            self._lock.take()
            try:
                self._sweep()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._lock.release()

    def newest(self) -> Found | None:
        """The newest checkpoint that verifies, and the newer ones that do not.

        With the lock those are set aside, that is renamed to `corrupt-...`; they are never deleted.
        None if there is no checkpoint at all.

        Raises:
            CorruptCheckpointError: there are checkpoints, and none verifies. They stay where they
                are: to begin anew in spite of them is for a person to decide.
            CheckpointError: one cannot be read just now, so nothing can be said of it.
        """
        corrupt: list[tuple[str, str]] = []
        removed = False
        for name in reversed(self.names()):
            try:
                manifest = self.verify(name)
            except CorruptCheckpointError as error:
                corrupt.append((name, str(error)))
                continue
            except CheckpointError:
                if self._exists(name):
                    raise
                removed = True  # by its writer, meanwhile
                continue
            moved = [self.set_aside(bad) if self._lock.taken else None for bad, _ in corrupt]
            aside = (SetAside(*bad, to) for bad, to in zip(corrupt, moved, strict=True))
            return Found(name, manifest, tuple(aside))
        if removed:
            return self.newest()  # its writer has put newer ones in place
        if corrupt:
            raise CorruptCheckpointError(
                f"{self.directory}: none of the {len(corrupt)} checkpoints verifies. To begin anew "
                "move them away or choose another folder.\n"
                + "\n".join(f"  {reason}" for _, reason in corrupt)
            )
        return None

    # Writing.

    def commit(self, content: Content) -> str:
        """Writes a checkpoint and returns its name; when it returns, the checkpoint is on disk.

        Raises:
            CheckpointWriteError: the disk is full, or the folder cannot be written. Nothing of the
                attempt is left, and all older checkpoints are whole.
            StoreInUseError: the store is not open, or lost its folder to another process.
            TypeError, ValueError: the content cannot be kept in a checkpoint.
        """
        content = _checked(content)
        with self._writing("writing a checkpoint"):
            self._stay_open()
            serial = self._next_serial()
            name = _name(serial, content.step)
            # Locally a folder aside, remotely the one that stays.
            folder = name if self._files.remote else f".tmp-{name}"
            try:
                self._files.make(folder)
                manifest = self._write_values(folder, serial, content)
                self._write_manifest(folder, manifest)
                if not self._files.remote:
                    manifest = self._put_in_place(folder, manifest)
            except BaseException as error:
                self._clear(folder)
                if type(error) in (CheckpointError, CorruptCheckpointError):
                    raise CheckpointWriteError(
                        f"{self.directory}: what was just written cannot be read back: {error}"
                    ) from error
                raise
        self._serial, name = manifest.serial, _name(manifest.serial, manifest.step)
        self._entries[name] = Entry(name, manifest.step, manifest.metrics)
        return name

    def set_aside(self, name: str) -> str:
        """Renames a checkpoint to `corrupt-...`, where nothing looks for it; returns that name."""
        with self._writing(f"setting {name} aside"):
            self._require_lock()
            self._require(name)
            aside = self._free_name(f"{ASIDE}{name}")
            self._files.move(name, aside, first=[CHECKSUM])
            self._files.sync()
        return aside

    def remove(self, name: str) -> None:
        """Deletes a checkpoint, or one that was set aside, unless it is pinned.

        Raises:
            CheckpointError: it is pinned, or not there.
            CheckpointWriteError: it cannot be removed.
        """
        with self._writing(f"removing {name}"):
            self._require_lock()
            self._require(name)
            pinned, folder = self.pinned(name), name
            if not (pinned or self._files.remote):
                folder = self._free_name(f".trash-{name}")
                self._files.move(name, folder)
                if pinned := self.pinned(folder):  # by another process, a moment ago
                    self._files.move(folder, name)
            if pinned:
                raise CheckpointError(f"{self.path(name)} is pinned; unpin it first.")
            self._files.sync()
            self._files.remove(folder, first=[CHECKSUM])
        self._entries.pop(name, None)

    def pin(self, name: str) -> None:
        """Marks a checkpoint as one that retention never removes; needs no lock."""
        with self._writing(f"pinning {name}"):
            self._require(name)
            if not self.pinned(name):
                with contextlib.suppress(FileExistsError):  # another process, a moment ago
                    self._files.write(b"", name, PINNED)
                self._files.sync(name)

    def unpin(self, name: str) -> None:
        """Takes the mark away; harmless when there is none; needs no lock."""
        with self._writing(f"unpinning {name}"):
            self._require(name)
            if self.pinned(name):
                self._files.remove(name, PINNED)
                self._files.sync(name)

    # Helpers of writing.

    def _require_lock(self) -> None:
        if not self._lock.taken:
            raise StoreInUseError(
                f"{self.directory}: the store is not open for writing. Use it as "
                "`with Store(directory) as store:`."
            )

    def _stay_open(self) -> None:
        """Makes the folder again if somebody deleted it since it was opened."""
        self._require_lock()
        if self._lock.lost or not (self._files.remote or self._files.kind()):
            logging.warning(
                "%s, or the lock in it, was deleted while in use; made again.", self.directory
            )
            self._files.make()
            self._lock.take()

    def _next_serial(self) -> int:
        """Past every serial that is or was in use here, by whatever is called so."""
        used = [int(m[1]) for name in self._files.listing() if (m := _NUMBERED.fullmatch(name))]
        return max([self._serial, *used]) + 1

    def _free_name(self, name: str) -> str:
        taken, free, i = self._files.listing(), name, 1
        while free in taken:
            i += 1
            free = f"{name}-{i}"
        return free

    def _write_values(self, folder: str, serial: int, content: Content) -> Manifest:
        """Writes the tensors, reads them back for their hashes, syncs; returns the manifest."""
        bundle.write(self.path(folder, DATA), content.values)
        values = bundle.describe(content.values, content.weights)
        written = [file for file in self._files.listing(folder) if file.startswith(f"{DATA}.")]
        digests = {file: self._files.digest(folder, file) for file in written}
        for file in written:
            self._files.sync(folder, file)
        now = datetime.datetime.now(datetime.timezone.utc)
        return Manifest(
            serial=serial,
            step=content.step,
            time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            files=digests,
            values=values,
            weights_sha256=hash_weights(values),
            header=content.header,
            metrics=content.metrics,
            plain=content.plain,
        )

    def _write_manifest(self, folder: str, manifest: Manifest) -> None:
        text = manifest.to_json()
        self._files.write(text, folder, MANIFEST)
        self._files.write(checksums(text, manifest), folder, CHECKSUM)
        self._files.sync(folder)

    def _put_in_place(self, folder: str, manifest: Manifest) -> Manifest:
        """Renames a finished folder; if its name is taken by now, under the next serial."""
        while True:
            name = _name(manifest.serial, manifest.step)
            try:
                self._files.move(folder, name)
                break
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
            manifest = dataclasses.replace(manifest, serial=self._next_serial())
            for file in (CHECKSUM, MANIFEST):
                self._files.remove(folder, file)
            self._write_manifest(folder, manifest)
        try:
            self._files.sync()
        except OSError as error:
            raise CheckpointWriteError(
                f"{self.path(name)} is written and whole, but its folder could not be synced "
                f"({cause(error)}): it may not survive a power cut."
            ) from error
        return manifest

    def _clear(self, folder: str) -> None:
        """Deletes what a failed commit left, as far as that is possible."""
        try:
            if self._files.kind(folder):
                self._files.remove(folder, first=[CHECKSUM])
        except (OSError, tf.errors.OpError) as error:
            logging.warning(
                "%s, left by a failed checkpoint, could not be deleted (%s); it counts as nothing.",
                self.path(folder),
                cause(error),
            )

    def _sweep(self) -> None:
        """Deletes what a killed process left; only where the lock keeps others out."""
        if self._lock.real:
            for name in self._files.listing():
                if _LEFTOVER.fullmatch(name):
                    self._files.remove(name)

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Turns what the system or TensorFlow says into one kind of error."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise CheckpointWriteError(
                f"{self.directory}: {what} failed: {cause(error)}. {_way_out(error)}"
            ) from error


def _name(serial: int, step: int) -> str:
    return f"{serial:06d}-step-{step}"


def _checked(content: Content) -> Content:
    """The content, or an error that names what of it cannot be kept, before anything is written."""
    step = content.step
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 10**18:
        raise ValueError(f"step={step!r}: it must be a whole number from 0 on.")
    bundle.check_values(content.values)
    for name in content.weights:
        if name not in content.values:
            raise ValueError(f"weights has {name!r}, which is not among the values.")
    exact_json.encode(content.header, "header")
    exact_json.encode(content.plain, "plain")
    metrics = {}
    for name, value in content.metrics.items():
        try:
            metrics[name] = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"metrics[{name!r}] is {value!r}; it must be a number.") from None
    return content._replace(metrics=metrics)


def _way_out(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    text = str(error)
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space" in text or "quota" in text:
        return "Free some space there, or keep fewer checkpoints."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS) or isinstance(
        error, tf.errors.PermissionDeniedError
    ):
        return "Make the folder writable for this user, or choose another."
    if number in (errno.EEXIST, errno.ENOTDIR, errno.ENOENT):
        return "A folder must be possible there: is one of the path's parts a file? Choose another."
    return "Checkpoints committed before are whole."
