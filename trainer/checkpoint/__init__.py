"""Checkpoints on disk: committed whole or not at all, verified before they are used."""

from trainer.checkpoint.errors import (
    CheckpointError,
    CheckpointWriteError,
    CorruptCheckpointError,
    StoreInUseError,
)
from trainer.checkpoint.manifest import Manifest
from trainer.checkpoint.retention import Entry, Retention
from trainer.checkpoint.store import Content, Found, SetAside, Store
from trainer.checkpoint.writer import Writer

__all__ = [
    "CheckpointError",
    "CheckpointWriteError",
    "Content",
    "CorruptCheckpointError",
    "Entry",
    "Found",
    "Manifest",
    "Retention",
    "SetAside",
    "Store",
    "StoreInUseError",
    "Writer",
]
