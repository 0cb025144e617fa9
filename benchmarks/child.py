"""A contender's own process: waits on a pipe, does what it is told, answers in JSON."""

from __future__ import annotations

import importlib
import json
import pathlib
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks import machine, quiet


def main() -> None:
    """Serves commands from stdin until it closes; answers go to the descriptor in argv[1].

    A command's `seat` is a contender that shares this process with others.
    """
    answers = Connection(int(sys.argv[1]), readable=False)
    spec = json.loads(sys.argv[2])
    servers = {None: Server(spec)}
    for line in sys.stdin:
        command = json.loads(line)
        seat = command.pop("seat", None)
        if seat not in servers:
            servers[seat] = Server({**spec, **spec["seats"][seat]})
        server = servers[seat]
        try:
            answer = getattr(server, command.pop("do"))(**command)
        except Exception as error:  # the parent decides; the log has the whole story
            traceback.print_exc()
            kind = "unavailable" if type(error).__name__ == "Unavailable" else "error"
            answer = {
                kind: f"{error}" if kind == "unavailable" else f"{type(error).__name__}: {error}"
            }
        answers.send_bytes(json.dumps(answer).encode())
        sys.stdout.flush()


class Server:
    """The commands of a child.

    Args:
        spec: `workload`, `peer`, `settings`, `overrides` of the workload's attributes, and
            `folder` with the data and the initial weights.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.folder = pathlib.Path(spec["folder"])
        self.peer: Any = None

    def prepare(self, data_dir: str | None, seed: int) -> dict[str, Any]:
        """Writes data and initial weights for all contenders; this child then has no other use."""
        with quiet.quiet_import():
            import tensorflow  # noqa: F401

        from benchmarks import workloads

        workload = workloads.get(self.spec["workload"], self.spec.get("overrides"))
        data = workload.data(data_dir)
        prepare(workload, data, self.folder, seed)
        return {"rows": len(data.x_train)}

    def load(self) -> dict[str, Any]:
        """Imports libraries and reads the data: what comes before the clock of the first step."""
        with quiet.quiet_import():
            import tensorflow as tf

            from benchmarks import peers, workloads

            for library in peers.get(self.spec["peer"]).libraries:
                importlib.import_module(library)

        from benchmarks.data import Data

        tf.random.set_seed(0)
        self.workload = workloads.get(self.spec["workload"], self.spec.get("overrides"))
        self.data = Data.load(self.folder)
        self.initial = load_weights(self.folder / "weights.npz")
        return {"versions": machine.versions(), "threads": machine.threads()}

    def start(self) -> dict[str, Any]:
        """Builds the contender and trains one step."""
        begin = time.perf_counter()
        from benchmarks import peers

        kind = peers.get(self.spec["peer"])
        self.peer = kind(self.workload, self.data, self.initial, self.spec.get("settings") or {})
        loss = self.peer.train(batches=1)
        return {
            "seconds": time.perf_counter() - begin,
            "loss": loss,
            "settings": self.peer.describe(),
        }

    def plan(self, batches: int | None) -> dict[str, Any]:
        """What a long run does once."""
        begin = time.perf_counter()
        self.peer.plan(batches)
        return {"seconds": time.perf_counter() - begin}

    def train(self, batches: int | None, epochs: int, wake: bool = False) -> dict[str, Any]:
        """A round; with `wake`, after an epoch that is not timed."""
        if wake:
            self.peer.train(batches=batches, epochs=1)
            self.peer.noted()
        begin = time.perf_counter()
        cpu = time.process_time()
        loss = self.peer.train(batches=batches, epochs=epochs)
        seconds = time.perf_counter() - begin
        noted = self.peer.noted()
        answer = {"seconds": seconds, "cpu_seconds": time.process_time() - cpu, "loss": loss}
        return {**answer, "seconds": noted.pop("seconds", seconds), "noted": noted}

    def restore(self, folder: str) -> dict[str, Any]:
        """Builds the contender and times how it puts back what another process saved."""
        from benchmarks import peers

        kind = peers.get(self.spec["peer"])
        settings = {**self.spec["settings"], "folder": folder}
        self.peer = kind(self.workload, self.data, self.initial, settings)
        begin = time.perf_counter()
        self.peer.restore()
        return {"seconds": time.perf_counter() - begin}

    def search(self, batches: int | None, epochs: int, grid: str) -> dict[str, Any]:
        """Looks for the contender's best setting."""
        tries = self.peer.search(batches, epochs, grid)
        return {"tries": tries, "settings": self.peer.describe()}

    def weights(self, path: str) -> dict[str, Any]:
        """Writes the weights to a file."""
        save_weights(path, self.peer.weights())
        return {"path": path}

    def evaluate(self) -> dict[str, Any]:
        """Loss and accuracy over the test split."""
        return {name: float(value) for name, value in self.peer.evaluate().items()}

    def finish(self) -> dict[str, Any]:
        """The process's peak memory so far, and the settings that were in force in the end."""
        return {"peak_mb": machine.peak_mb(), "settings": self.peer.describe()}


def prepare(workload: Any, data: Any, folder: pathlib.Path, seed: int) -> None:
    """Writes the data and the workload's initial weights into `folder`."""
    data.save(folder)
    save_weights(folder / "weights.npz", workload.initial_weights(data, seed))


def save_weights(path: str | pathlib.Path, weights: list[np.ndarray]) -> None:
    """Writes arrays in their order."""
    np.savez(path, *weights)


def load_weights(path: str | pathlib.Path) -> list[np.ndarray]:
    """Reads what `save_weights` wrote."""
    with np.load(path) as file:
        return [file[f"arr_{i}"] for i in range(len(file.files))]


if __name__ == "__main__":
    main()
