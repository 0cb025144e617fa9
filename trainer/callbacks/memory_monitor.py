"""MemoryMonitor: memory of the process and of each accelerator, and a limit."""

from __future__ import annotations

import os
import pathlib
import resource
import sys
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every, Trigger


class MemoryMonitor(Callback):
    """Notes how much memory the process has, in bytes, whenever it is called.

    Args:
        limit: end the run (with a checkpoint, if it takes any) when the process has more bytes than
            this, before the machine ends it without asking; None for no limit.
        verbose: 1 prints a line whenever it is called.
        when: the trigger; the end of every epoch when not given.

    Attributes:
        history: a dict for each call: "step", "host" (resident bytes now), "host_peak" and, for
            each accelerator that tells, "GPU:0" and "GPU:0_peak".
    """

    def __init__(
        self, limit: float | None = None, verbose: int = 0, *, when: Trigger | None = None
    ) -> None:
        if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
            raise ValueError(f"MemoryMonitor(limit={limit!r}): it must be above 0 bytes, or None.")
        self.limit, self.verbose = limit, verbose
        self.when = when or Every(epochs=1)
        self.history: list[dict[str, int]] = []

    def on_train_begin(self, run: Run) -> None:
        """Forgets earlier fits."""
        self.history = []

    def __call__(self, report: Report) -> Control | None:
        """Notes the memory."""
        found = {"step": report.step, **memory()}
        self.history.append(found)
        if self.verbose:
            told = ", ".join(f"{k} {v / 2**20:,.0f} MB" for k, v in found.items() if k != "step")
            print(f"Epoch {report.epoch}, step {report.step}: {told}")
        if self.limit is None or found["host"] <= self.limit:
            return None
        return Control(
            stop=f"MemoryMonitor: the process has {found['host'] / 2**20:,.0f} MB, more than "
            f"{self.limit / 2**20:,.0f} MB"
        )

    def memory(self) -> Mapping[str, Any]:
        """What was noted so far."""
        return {"history": list(self.history)}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave."""
        self.history = list(memory["history"])


def memory() -> dict[str, int]:
    """Bytes by name: "host", "host_peak", and those of each accelerator that tells."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    found = {"host": _resident(peak), "host_peak": peak}
    for device in tf.config.list_logical_devices():
        if device.device_type not in ("GPU", "TPU"):
            continue
        name = device.name.removeprefix("/device:")
        try:
            info = tf.config.experimental.get_memory_info(name)
        except (ValueError, tf.errors.OpError):  # a device that does not tell
            continue
        found[name], found[f"{name}_peak"] = info["current"], info["peak"]
    return found


def _resident(peak: int) -> int:
    """Resident bytes now; the peak where the system tells no more."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return peak
    return pages * os.sysconf("SC_PAGE_SIZE")
