"""One of several processes: `python -m tests.distributed.worker function folder`.

Calls a function of `tests.distributed.jobs` with the strategy of TF_CONFIG and the folder.
"""

import os
import pathlib
import subprocess
import sys

from trainer.launch.ports import free_ports, tf_config

ROOT = pathlib.Path(__file__).parents[2]


def start(function, folder, workers=2, devices=1):
    """Starts the processes; their output goes to `folder/worker-i.log`."""
    ports, found = free_ports(workers), []
    for i in range(workers):
        env = {**os.environ, "TF_CONFIG": tf_config(ports, i), "DEVICES": str(devices)}
        command = [sys.executable, "-m", "tests.distributed.worker", function, str(folder)]
        with open(pathlib.Path(folder) / f"worker-{i}.log", "w") as log:
            found.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
    return found


def run(function, folder, seconds=240, **how):
    """Runs the processes to their end, which must be a good one."""
    started = start(function, folder, **how)
    try:
        codes = [process.wait(seconds) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    logs = [path.read_text()[-3000:] for path in sorted(pathlib.Path(folder).glob("*.log"))]
    assert codes == [0] * len(codes), "\n".join(logs)


def main():
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * int(os.environ["DEVICES"])
    tf.config.set_logical_device_configuration(cpu, devices)
    # No timeout_seconds: TensorFlow keeps two threads waiting that long for each exchange.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    from tests.distributed import jobs

    getattr(jobs, sys.argv[1])(strategy, pathlib.Path(sys.argv[2]))


if __name__ == "__main__":
    main()
