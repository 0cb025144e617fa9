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

LABELS = {
    "ours": "ours, everything on",
    "ours_bare": "ours, bare loop",
    "fit": "Keras fit",
    "fit_best": "Keras fit, best setting",
    "orbit": "Orbit",
    "hand": "hand-written loop",
}


def get(name: str) -> type[Peer]:
    """The class of a contender.

    Raises:
        ValueError: there is none called `name`.
    """
    if name not in PEERS:
        raise ValueError(f"contender {name!r} is not one of {', '.join(PEERS)}.")
    source, kind = PEERS[name]
    return getattr(importlib.import_module(f"benchmarks.peers.{source}"), kind)


__all__ = ["LABELS", "PEERS", "Peer", "Unavailable", "get"]
