"""Place: a checkpoint by its folder, or the newest of a run's folder."""

from __future__ import annotations

import difflib
import os
from typing import NamedTuple

from trainer.checkpoint.errors import CheckpointError
from trainer.checkpoint.reading import NAME, Checkpoints


class Place(NamedTuple):
    """One checkpoint.

    Attributes:
        checkpoints: those of the folder that it lies in.
        name: its name there.
        single: whether it was named itself, and not as the newest of its folder.
    """

    checkpoints: Checkpoints
    name: str
    single: bool

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Place:
        """Finds it.

        Raises:
            CheckpointError: there is none; the message names near ones.
        """
        text = os.fspath(path).rstrip("/")
        folder, _, name = text.rpartition("/")
        checkpoints = Checkpoints(text)
        if names := checkpoints.names():
            return cls(checkpoints, names[-1], False)
        if not NAME.fullmatch(name):
            raise CheckpointError(f"{checkpoints.directory} has no checkpoints.")
        checkpoints = Checkpoints(folder or ".")
        names = checkpoints.names()
        if name in names:
            return cls(checkpoints, name, True)
        near = difflib.get_close_matches(name, names, n=3) or names[-3:]
        hint = f"; it has {', '.join(near)}" if near else ""
        raise CheckpointError(f"{checkpoints.directory} has no {name}{hint}.")

    @property
    def path(self) -> str:
        """Its folder."""
        return self.checkpoints.path(self.name)
