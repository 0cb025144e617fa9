"""What can go wrong with checkpoints, one class per thing that a caller may want to do about it."""

from __future__ import annotations


class CheckpointError(Exception):
    """Base of all errors about checkpoints; raised itself where nothing below fits."""


class CorruptCheckpointError(CheckpointError):
    """A checkpoint is not what was written: go back to an older one."""


class CheckpointWriteError(CheckpointError):
    """A checkpoint could not be written or removed; those committed before are whole."""


class StoreInUseError(CheckpointError):
    """Another process, or another store of this one, writes into the folder."""
