"""Several processes that train together on the loopback, each of which calls one function.

    python -m benchmarks.replicated.workers module:function folder

calls it with the strategy of TF_CONFIG and the folder.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import subprocess
import sys
from typing import Any

from trainer.launch.ports import free_ports, tf_config

_ROOT = pathlib.Path(__file__).parents[2]


def run(
    function: str, folder: pathlib.Path, *, workers: int = 2, devices: int = 1, seconds: float = 240
) -> None:
    """Runs the processes to their end, which must be a good one.

    Args:
        function: `module:name`; called with a strategy and the folder.
        folder: where their output goes, to `worker-0.log` and so on.
        workers: how many processes.
        devices: logical devices of each.
        seconds: after so many they are ended.

    Raises:
        RuntimeError: one of them failed; with the end of what all of them said.
        subprocess.TimeoutExpired: one of them took longer.
    """
    started = _start(function, folder, workers, devices)
    try:
        codes = [process.wait(seconds) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    if any(codes):
        logs = [path.read_text()[-3000:] for path in sorted(folder.glob("worker-*.log"))]
        raise RuntimeError(f"workers ended with codes {codes}:\n" + "\n".join(logs))


def _start(
    function: str, folder: pathlib.Path, workers: int, devices: int
) -> list[subprocess.Popen[bytes]]:
    ports, found = free_ports(workers), []
    for i in range(workers):
        env = {**os.environ, "TF_CONFIG": tf_config(ports, i), "DEVICES": str(devices)}
        command = [sys.executable, "-m", "benchmarks.replicated.workers", function, str(folder)]
        with open(folder / f"worker-{i}.log", "w", encoding="utf-8") as log:
            found.append(subprocess.Popen(command, cwd=_ROOT, env=env, stdout=log, stderr=log))
    return found


def main(function: str, folder: str) -> Any:
    """Is one of the processes."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * int(os.environ["DEVICES"])
    tf.config.set_logical_device_configuration(cpu, devices)
    # No timeout_seconds: TensorFlow keeps two threads waiting that long for each exchange.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(strategy, pathlib.Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
