"""Several processes that train together on the loopback, each of which calls one function.

    python -m benchmarks.replicated.workers module:function folder

calls it with the strategy of TF_CONFIG, or without one with a MirroredStrategy, and the folder.
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
        workers: how many processes; of one the strategy is a MirroredStrategy.
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
        env = {**os.environ, "DEVICES": str(devices)}
        if workers > 1:
            env["TF_CONFIG"] = tf_config(ports, i)
        command = [sys.executable, "-m", "benchmarks.replicated.workers", function, str(folder)]
        with open(folder / f"worker-{i}.log", "w", encoding="utf-8") as log:
            found.append(subprocess.Popen(command, cwd=_ROOT, env=env, stdout=log, stderr=log))
    return found


def main(function: str, folder: str) -> Any:
    """Is one of the processes."""
    import tensorflow as tf

    count = int(os.environ["DEVICES"])
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, devices)
    module, _, name = function.partition(":")
    strategy = _among_workers(count) if "TF_CONFIG" in os.environ else _of_one_process(count)
    return getattr(importlib.import_module(module), name)(strategy, pathlib.Path(folder))


def _of_one_process(devices: int) -> Any:
    """As a script makes it: the devices add up as TensorFlow has it without a word."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)])


def _among_workers(devices: int) -> Any:
    """With several logical CPUs in each process, where TensorFlow takes several GPUs or one CPU."""
    import tensorflow as tf
    from tensorflow.python.distribute import collective_all_reduce_strategy  # no public name

    def local(_: Any, resolver: Any, worker: str) -> tuple[tuple[str, ...], str]:
        return tuple(f"{worker}/device:CPU:{i}" for i in range(devices)), "CPU"

    if devices > 1:
        kind = collective_all_reduce_strategy.CollectiveAllReduceExtended
        kind._initialize_local_devices = local
    # No timeout_seconds: TensorFlow keeps two threads waiting that long for each exchange.
    return tf.distribute.MultiWorkerMirroredStrategy()


if __name__ == "__main__":
    main(*sys.argv[1:])
