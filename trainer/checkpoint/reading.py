"""Reading a folder of checkpoints: what is there, whether it is whole, and what it holds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Any

import tensorflow as tf

from trainer.checkpoint import bundle
from trainer.checkpoint.errors import CheckpointError, CorruptCheckpointError
from trainer.checkpoint.files import open_folder
from trainer.checkpoint.manifest import CHECKSUM, DATA, MANIFEST, MAX_BYTES, Manifest, checksums
from trainer.checkpoint.retention import Entry

PINNED = "pinned"
ASIDE = "corrupt-"
_UNDER_WAY = (".tmp-", ".trash-")  # being written, being removed (or left so by a kill)
_LISTINGS = 50  # some tens of microseconds each
NAME = re.compile(r"(\d{6,18})-step-(\d{1,18})")


class Checkpoints:
    """The checkpoints of a folder, for reading: needs no lock, and disturbs nobody who writes.

    Args:
        directory: a local path, or one with a scheme that `tf.io.gfile` knows, as a string. It need
            not exist; nothing is touched before it is needed.
    """

    def __init__(self, directory: Any) -> None:
        self._files = open_folder(directory)
        self.directory = self._files.root
        self._entries: dict[str, Entry] = {}  # what never changes of a checkpoint, read once

    def names(self) -> list[str]:
        """The committed checkpoints, oldest first: by serial, whatever the clock or the step.

        A listing made while their writer puts one in place and removes another may show neither:
        where it shows that something was going on, it is made again.
        """
        names: list[str] = []
        for _ in range(_LISTINGS):
            listing = self._files.listing()
            found = [
                (int(match[1]), int(match[2]), name)
                for name in listing
                if (match := NAME.fullmatch(name))
            ]
            names = [name for _, _, name in sorted(found) if self._is_committed(name)]
            if names or not (found or any(name.startswith(_UNDER_WAY) for name in listing)):
                break
        return names

    def aside(self) -> list[str]:
        """The names of those that were set aside."""
        return [name for name in self._files.listing() if name.startswith(ASIDE)]

    def path(self, name: str, *parts: str) -> str:
        """Where a checkpoint lies, or a file in it."""
        return self._files.path(name, *parts)

    def manifest(self, name: str) -> Manifest:
        """What a checkpoint holds, by its manifest, whose checksum is verified; no other file is.

        Raises:
            CorruptCheckpointError: manifest or checksum are missing or not what was written.
            CheckpointError: there is no such checkpoint, or it cannot be read just now.
        """
        self._require(name)
        try:
            text = self._files.read(name, MANIFEST, limit=MAX_BYTES)
            listed = self._files.read(name, CHECKSUM, limit=MAX_BYTES)
            manifest = Manifest.parse(text)
            if listed != checksums(text, manifest):
                raise CorruptCheckpointError(f"{CHECKSUM} does not fit {MANIFEST}.")
        except CorruptCheckpointError as error:
            self._require(name)  # it may have been removed in between
            raise self._corrupt(name, error) from error
        match = NAME.fullmatch(name)
        if match and (int(match[1]), int(match[2])) != (manifest.serial, manifest.step):
            raise self._corrupt(
                name, f"its manifest is of serial {manifest.serial}, step {manifest.step}."
            )
        return manifest

    def verify(self, name: str) -> Manifest:
        """The manifest, after every file was read and held against it.

        Raises:
            CorruptCheckpointError: something is missing or not what was written.
            CheckpointError: there is no such checkpoint, or it cannot be read just now.
        """
        manifest = self.manifest(name)
        try:
            for file, expected in manifest.files.items():
                size = self._files.size(name, file)
                if size != expected.bytes:
                    raise CorruptCheckpointError(
                        f"{file} has {size:,} bytes in place of {expected.bytes:,}."
                    )
                if self._files.digest(name, file) != expected:
                    raise CorruptCheckpointError(f"{file} is not what was written (its hash).")
            bundle.check(self.path(name, DATA), manifest.values)
        except CorruptCheckpointError as error:
            self._require(name)
            raise self._corrupt(name, error) from error
        return manifest

    def load(
        self,
        name: str,
        names: Collection[str] | None = None,
        *,
        verified: Manifest | None = None,
    ) -> tuple[Manifest, dict[str, tf.Tensor]]:
        """Manifest and values of a checkpoint that was verified; each value is verified again.

        Args:
            name: a checkpoint.
            names: which values; all of them by default.
            verified: what `verify` or `newest` gave just now, so that the files are not read twice
                for their hashes; by default they are verified here.

        Raises:
            CorruptCheckpointError: something is missing or not what was written.
            CheckpointError: there is no such checkpoint or value, or it cannot be read just now.
        """
        manifest = verified or self.verify(name)
        wanted = list(manifest.values) if names is None else list(names)
        for value in wanted:
            if value not in manifest.values:
                raise CheckpointError(
                    f"{self.path(name)} has no value {value!r}{near(value, manifest.values)}"
                )
        values = {value: manifest.values[value] for value in wanted}
        try:
            return manifest, bundle.read(self.path(name, DATA), values)
        except CorruptCheckpointError as error:
            raise self._corrupt(name, error) from error

    def entries(self) -> list[Entry]:
        """What retention decides by, oldest first; those with an unreadable manifest left out."""
        found = []
        for name in self.names():
            if name not in self._entries:
                try:
                    manifest = self.manifest(name)
                except CheckpointError:
                    continue  # neither counted nor removed: `newest` and `verify` speak of it
                self._entries[name] = Entry(name, manifest.step, manifest.metrics)
            found.append(self._entries[name]._replace(pinned=self.pinned(name)))
        return found

    def pinned(self, name: str) -> bool:
        """Whether a checkpoint is never removed by retention."""
        return self._files.kind(name, PINNED) is not None

    def _is_committed(self, name: str) -> bool:
        if self._files.remote:
            return self._files.kind(name, CHECKSUM) == "file"
        return self._files.kind(name) == "folder"

    def _exists(self, name: str) -> bool:
        return self._files.kind(name) == "folder"

    def _require(self, name: str) -> None:
        if not self._exists(name):
            what = "is no folder" if self._files.kind(name) else "is no checkpoint"
            raise CheckpointError(f"{self.path(name)} {what}{near(name, self.names())}")

    def _corrupt(self, name: str, reason: Any) -> CorruptCheckpointError:
        return CorruptCheckpointError(f"{self.path(name)} is corrupt: {reason}")


def near(name: str, names: Iterable[str]) -> str:
    """How the sentence that `name` is not there ends: with the nearest that is, or the last few."""
    names = list(names)
    if not names:
        return "; there is none."
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {len(names)}, the last: {', '.join(map(repr, names[-3:]))}."
