"""This project's Trainer: with everything on, and as the bare compiled loop."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.peers import stream
from benchmarks.peers.base import Peer, tensor_float_32
from benchmarks.peers.stream import DATASET, GENERATOR

# Features that are callbacks: makes them, given the module of callbacks and a folder of their own.
CALLBACKS: dict[str, Callable[[Any, pathlib.Path], Any]] = {
    "tensorboard": lambda callbacks, folder: callbacks.TensorBoard(folder / "logs"),
    "histograms": lambda callbacks, folder: callbacks.TensorBoard(
        folder / "histograms", histogram_freq=callbacks.Every(steps=500)
    ),
    "histograms_100": lambda callbacks, folder: callbacks.TensorBoard(
        folder / "histograms", histogram_freq=callbacks.Every(steps=100)
    ),
    "norms_100": lambda callbacks, folder: callbacks.NormMonitor(callbacks.Every(steps=100)),
    "norms_1": lambda callbacks, folder: callbacks.NormMonitor(callbacks.Every(steps=1)),
    "csv": lambda callbacks, folder: callbacks.CSVLogger(folder / "log.csv"),
    "json_steps": lambda callbacks, folder: callbacks.JSONLogger(folder / "log.jsonl", steps=True),
}


class Ours(Peer):
    """`Trainer(...).fit(...)` with metrics, History, progress, and TensorBoard at every step.

    Settings: `features`, which are on (default: `FEATURES`): "metrics", "progress",
    "gradient_norm", "checkpoint" (one at the end of each `fit`) and those of `CALLBACKS`; `jit`;
    `steps_per_call`, to cut the compiled loop as a callback with `Every(steps=...)` does;
    `listeners`, how many callbacks read the loss of every step; `precision`, as the Trainer takes
    it; `tf32`, see `tensor_float_32`; `stream`, see `Peer`.
    """

    FEATURES: tuple[str, ...] = ("metrics", "progress", "tensorboard")
    libraries = ("trainer", "layers", "losses", "optimizers")

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """The workload's Trainer, with these weights."""
        tensor_float_32(self.settings)
        features = self.settings.get("features", self.FEATURES)
        arguments = self.arguments()
        if "metrics" not in features:
            arguments["metrics"] = None
        self.trainer = self.workload.trainer(
            self.data,
            weights,
            jit=self.settings.get("jit", "auto"),
            gradient_norm="gradient_norm" in features,
            precision=self.settings.get("precision"),
            **arguments,
        )
        self.verbose = 1 if "progress" in features else 0
        self.callbacks = self._callbacks(features)
        self._inputs: dict[int, Any] = {}

    def arguments(self) -> dict[str, Any]:
        """Further arguments of the Trainer."""
        if "checkpoint" not in self.settings.get("features", self.FEATURES):
            return {}
        return {"checkpoint": tempfile.mkdtemp(prefix="ours-")}  # inside the child's own folder

    def train(self, batches: int | None = None, epochs: int = 1) -> float:
        """One call of `fit`."""
        history = self.trainer.fit(
            **self._input(self.rows(batches)),
            epochs=epochs,
            verbose=self.verbose,
            callbacks=self.callbacks,
        )
        means = {name: values[-1] for name, values in history.history.items()}
        return float(sum(value for name, value in means.items() if name.endswith("loss")))

    def plan(self, batches: int | None = None) -> None:
        """Tries the ways of compiling as the first `fit` of a long run does."""
        given = self._input(self.rows(batches))
        self.trainer.plan(given["x"], given["y"], batch_size=given["batch_size"])

    def weights(self) -> list[np.ndarray]:
        """The model's weights."""
        return self.workload.get_weights(self.trainer)

    def evaluate(self) -> dict[str, float]:
        """The workload's quality on the test split."""
        return self.workload.quality(self.trainer, self.data)

    def describe(self) -> dict[str, Any]:
        """The settings, and how the Trainer chose to compile so far."""
        return {
            "features": list(self.settings.get("features", self.FEATURES)),
            "jit": self.settings.get("jit", "auto"),
            "precision": self.settings.get("precision"),
            "compiled": {
                verb: f"{choice.mode} ({choice.reason})"
                for verb, choice in self.trainer.programs.choices.items()
            },
            "layers": "ours" if getattr(self.workload, "own_layers", True) else "Keras",
        }

    def _input(self, rows: int) -> dict[str, Any]:
        """Tensors, made once as the others' pipelines are: `fit` copies arrays at each call."""
        import tensorflow as tf

        size = self.workload.batch_size
        if "stream" in self.settings:
            make = {DATASET: stream.dataset, GENERATOR: stream.generator}[self.settings["stream"]]
            return {"x": make(self.data, size, rows // size)}
        if rows not in self._inputs:
            x, y = self.data.head(rows)
            arrays = {"x": tf.constant(x), "y": None if y is None else tf.constant(y)}
            self._inputs[rows] = {**arrays, "batch_size": size, "shuffle": False}
        return self._inputs[rows]

    def _callbacks(self, features: Sequence[str]) -> list[Any]:
        from trainer import callbacks

        folder = pathlib.Path(tempfile.mkdtemp(prefix="ours-"))  # inside the child's own folder
        chosen = [make(callbacks, folder) for name, make in CALLBACKS.items() if name in features]
        if self.settings.get("steps_per_call"):
            chosen.append(_cut(self.settings["steps_per_call"]))
        chosen.extend(_listener() for _ in range(self.settings.get("listeners", 0)))
        return chosen


class OursBare(Ours):
    """The compiled loop with the metric and nothing around it."""

    FEATURES = ("metrics",)


def _cut(steps: int) -> Any:
    """A callback that does nothing, every so many steps: it only ends the compiled call there."""
    from trainer import callbacks

    class Cut(callbacks.Callback):
        when = callbacks.Every(steps=steps)

    return Cut()


def _listener() -> Any:
    """A callback that keeps the loss of every step."""
    from trainer import callbacks

    class Listener(callbacks.Callback):
        when = callbacks.Every(epochs=1)

        def __call__(self, report):
            self.seen = report.steps["loss"]

    return Listener()
