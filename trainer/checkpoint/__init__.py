"""Checkpoints: when they are taken, the store that keeps them, and runs that go on from one."""

from trainer.checkpoint.certify import Certificate, certify
from trainer.checkpoint.errors import (
    CheckpointError,
    CheckpointWriteError,
    CorruptCheckpointError,
    StoreInUseError,
)
from trainer.checkpoint.export import export
from trainer.checkpoint.manifest import Manifest
from trainer.checkpoint.match import MismatchError
from trainer.checkpoint.retention import Entry, Retention
from trainer.checkpoint.settings import Checkpoint
from trainer.checkpoint.store import Content, Found, SetAside, Store
from trainer.checkpoint.weights import load_weights, save_weights
from trainer.checkpoint.weights_file import DamagedFileError
from trainer.checkpoint.writer import Writer

__all__ = [
    "Certificate",
    "Checkpoint",
    "CheckpointError",
    "CheckpointWriteError",
    "Content",
    "CorruptCheckpointError",
    "DamagedFileError",
    "Entry",
    "Found",
    "Manifest",
    "MismatchError",
    "Retention",
    "SetAside",
    "Store",
    "StoreInUseError",
    "Writer",
    "certify",
    "export",
    "load_weights",
    "save_weights",
]
