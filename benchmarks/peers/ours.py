"""This project's Trainer: with everything on, and as the bare compiled loop."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.peers.base import Peer, Unavailable, tensor_float_32

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
    `precision`, as the Trainer takes it; `tf32`, see `tensor_float_32`.
    """

    FEATURES: tuple[str, ...] = ("metrics", "progress", "tensorboard")

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """Builds the model, copies the weights in, makes the Trainer."""
        try:
            from trainer import Trainer
        except ImportError as error:
            raise Unavailable(f"the Trainer cannot be imported: {error}") from error
        workload = self.workload
        tensor_float_32(self.settings)
        self.model = workload.model() if workload.own_layers else workload.keras_model()
        if workload.own_layers:
            self.model(self.data.x_train[: workload.batch_size])  # builds
        self.model.set_weights(weights)
        features = self.settings.get("features", self.FEATURES)
        self.trainer = Trainer(
            self.model,
            loss=workload.loss(),
            optimizer=workload.optimizer(),
            metrics=workload.metrics() if "metrics" in features else None,
            jit=self.settings.get("jit", "auto"),
            gradient_norm="gradient_norm" in features,
            precision=self.settings.get("precision"),
            **self.arguments(),
        )
        self.verbose = 1 if "progress" in features else 0
        self.callbacks = self._callbacks(features)

    def arguments(self) -> dict[str, Any]:
        """Further arguments of the Trainer."""
        if "checkpoint" not in self.settings.get("features", self.FEATURES):
            return {}
        return {"checkpoint": tempfile.mkdtemp(prefix="ours-")}  # inside the child's own folder

    def train(self, batches: int | None = None, epochs: int = 1) -> float:
        """One call of `fit`."""
        rows = self.rows(batches)
        history = self.trainer.fit(
            self.data.x_train[:rows],
            self.data.y_train[:rows],
            batch_size=self.workload.batch_size,
            epochs=epochs,
            shuffle=False,
            verbose=self.verbose,
            callbacks=self.callbacks,
        )
        return float(history.history["loss"][-1])

    def plan(self, batches: int | None = None) -> None:
        """Tries the ways of compiling as the first `fit` of a long run does."""
        rows = self.rows(batches)
        x, y = self.data.x_train[:rows], self.data.y_train[:rows]
        self.trainer.plan(x, y, batch_size=self.workload.batch_size)

    def weights(self) -> list[np.ndarray]:
        """The model's weights."""
        return self.model.get_weights()

    def evaluate(self) -> dict[str, float]:
        """`evaluate` over the test split."""
        return self.trainer.evaluate(self.data.x_test, self.data.y_test, batch_size=256, verbose=0)

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
            "layers": "ours" if self.workload.own_layers else "Keras",
        }

    def _callbacks(self, features: Sequence[str]) -> list[Any]:
        from trainer import callbacks

        folder = pathlib.Path(tempfile.mkdtemp(prefix="ours-"))  # inside the child's own folder
        chosen = [make(callbacks, folder) for name, make in CALLBACKS.items() if name in features]
        if self.settings.get("steps_per_call"):
            chosen.append(_cut(self.settings["steps_per_call"]))
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
