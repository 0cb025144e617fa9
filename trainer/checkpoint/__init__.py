"""Checkpoints: when they are taken, the store that keeps them, and runs that go on from one."""

from trainer.checkpoint.errors import (
    CheckpointError,
    CheckpointWriteError,
    CorruptCheckpointError,
    StoreInUseError,
)
from trainer.checkpoint.manifest import Manifest
from trainer.checkpoint.proof import Certificate, certify
from trainer.checkpoint.retention import Entry, Retention
from trainer.checkpoint.settings import Checkpoint
from trainer.checkpoint.store import Content, Found, SetAside, Store
from trainer.checkpoint.writer import Writer

__all__ = [
    "Certificate",
    "Checkpoint",
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
    "certify",
]
