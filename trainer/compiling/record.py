"""The record of choices on disk: the same program on the same machine is compiled the same way.

A decision never depends on a noisy clock twice, so the same script gives the same bits.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import platform
import tempfile
from typing import Any

import tensorflow as tf

from trainer import graphs
from trainer.compiling.choice import Choice

_SETTINGS = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS")


def fingerprint(graph: tf.Graph) -> str:
    """Names the program of a step on this machine: operations, shapes, processor, versions."""
    digest = hashlib.sha256()
    for op in graphs.operations(graph):
        outputs = [f"{x.dtype.name}{x.shape}" for x in op.outputs]
        digest.update(f"{op.type} {outputs}\n".encode())
    devices = [d.device_type for d in tf.config.list_logical_devices()]
    details = tf.config.experimental.get_device_details
    devices += [details(d).get("device_name") for d in tf.config.list_physical_devices("GPU")]
    threads = tf.config.threading
    machine = (
        platform.machine(),
        _processor(),
        _cores(),
        threads.get_intra_op_parallelism_threads(),
        threads.get_inter_op_parallelism_threads(),
        [os.environ.get(name) for name in _SETTINGS],
        devices,
        tf.__version__,
    )
    digest.update(repr(machine).encode())
    return digest.hexdigest()[:32]


def recall(key: str) -> Choice | None:
    """The choice recorded earlier under a key, if any."""
    try:
        return Choice.of(json.loads(_file(key).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # never recorded, or unreadable: decide anew


def remember(key: str, choice: Choice) -> str | None:
    """Keeps a choice for the next run; says why if that was not possible."""
    return _write(key, choice.entry())


def recall_parts(key: str) -> int:
    """Into how many parts a batch had to be taken to fit into memory; 1 where it was not tried."""
    try:
        return int(json.loads(_file(f"{key}-parts").read_text()))
    except (OSError, ValueError, TypeError):
        return 1


def remember_parts(key: str, parts: int) -> str | None:
    """Keeps the number of parts for the next run; says why if that was not possible."""
    return _write(f"{key}-parts", parts)


def _write(key: str, value: Any) -> str | None:
    try:
        file = _file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=file.parent, delete=False, suffix=".tmp"
        ) as written:
            json.dump(value, written)
        os.replace(written.name, file)
    except OSError as error:
        return f"what was found out about compiling could not be kept for the next run: {error}"
    return None


def folder() -> pathlib.Path:
    """`$GRADLOOP_CACHE_DIR`, or the user's cache folder."""
    if own := os.environ.get("GRADLOOP_CACHE_DIR"):
        return pathlib.Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "gradloop"


def _file(key: str) -> pathlib.Path:
    return folder() / "plans" / f"{key}.json"


def _cores() -> int | None:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _processor() -> str:
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor()
