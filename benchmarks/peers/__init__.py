"""The contenders by name; each file is one way to train the same model on the same batches."""

from __future__ import annotations

import importlib

from benchmarks.peers.base import Peer, Unavailable

# name -> the source and the class; imported only when asked for: each needs its own library.
PEERS = {
    "ours": ("ours", "Ours"),
    "ours_bare": ("ours", "OursBare"),
    "fit": ("keras_fit", "KerasFit"),
    "fit_best": ("keras_fit", "KerasFit"),
    "orbit": ("orbit_loop", "OrbitLoop"),
    "hand": ("hand", "Hand"),
}

# Those of benchmarks.saving: loops that save, and the same loops without.
SAVERS = {
    "saving_ours": ("saving", "OursSaving"),
    "saving_hand": ("saving", "HandSaving"),
    "saving_fit": ("saving", "FitSaving"),
    "saving_orbit": ("saving", "OrbitSaving"),
}

LABELS = {
    "ours": "ours, everything on",
    "ours_bare": "ours, bare loop",
    "fit": "Keras fit",
    "fit_best": "Keras fit, best setting",
    "fit_32": "Keras fit, 32 steps an execution, XLA",
    "orbit": "Orbit",
    "hand": "hand-written loop",
    "ours_checkpoint": "ours: Checkpoint",
    "hand_sync": "CheckpointManager",
    "hand_async": "CheckpointManager, async",
    "fit_model": "ModelCheckpoint, .keras",
    "fit_weights": "ModelCheckpoint, weights",
    "fit_backup": "BackupAndRestore",
    "orbit_manager": "Orbit: CheckpointManager",
}


def get(name: str) -> type[Peer]:
    """The class of a contender.

    Raises:
        ValueError: there is none called `name`.
    """
    known = PEERS | SAVERS
    if name not in known:
        raise ValueError(f"contender {name!r} is not one of {', '.join(PEERS)}.")
    source, kind = known[name]
    return getattr(importlib.import_module(f"benchmarks.peers.{source}"), kind)


__all__ = ["LABELS", "PEERS", "SAVERS", "Peer", "Unavailable", "get"]
