"""What a number depends on: processor, memory, versions, threads."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import pathlib
import platform
import resource
import sys
import time
from typing import Any

PACKAGES = ("tensorflow", "keras", "numpy", "tf-models-official", "tf-keras")
THREAD_SETTINGS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
)


def about() -> dict[str, Any]:
    """What every results file tells beside its figures: `machine` and `versions`."""
    return {"machine": facts(), "versions": versions()}


def facts() -> dict[str, Any]:
    """The machine and the moment; says how busy it was."""
    return {
        "processor": processor(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name, with the instruction sets that matter here."""
    path = pathlib.Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    known = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return " ".join([fields.get("model name", platform.machine()), *known])


def versions() -> dict[str, str]:
    """Of the packages that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def threads() -> dict[str, Any]:
    """TensorFlow's thread settings (0: its default) and the variables that change speed or bits."""
    import tensorflow as tf

    settings: dict[str, Any] = {
        "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
        "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
    }
    return settings | {name: os.environ[name] for name in THREAD_SETTINGS if name in os.environ}


def busy() -> tuple[int, int]:
    """Ticks of all processors since the machine started: at work, and in all; (0, 0) off Linux."""
    path = pathlib.Path("/proc/stat")
    if not path.exists():
        return 0, 0
    ticks = [
        int(field) for field in path.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    ]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def settle(seconds: float, *, most: float = 15.0, idle: float = 0.97) -> float:
    """Waits at least so long, and until the processors rest; at most `most` seconds.

    Args:
        seconds: the least.
        most: the most.
        idle: share of a quarter of a second that all processors together must have rested.

    Returns:
        The seconds waited.
    """
    begin = time.monotonic()
    time.sleep(seconds)
    while time.monotonic() - begin < most and at_work(0.25) > 1.0 - idle:
        pass
    return time.monotonic() - begin


def at_work(seconds: float) -> float:
    """The share of so many seconds that the processors are at work, by whomever; 0 off Linux."""
    before = busy()
    time.sleep(seconds)
    after = busy()
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def size(path: pathlib.Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)


def forget_peak() -> None:
    """Lets `peak_mb` count from now on; only Linux can."""
    path = pathlib.Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5", encoding="ascii")


def peak_mb() -> float:
    """Peak resident memory of this process in MB (10^6 bytes).

    Linux keeps `VmHWM` per process; `ru_maxrss` there starts at the size of the parent's memory.
    """
    path = pathlib.Path("/proc/self/status")
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
