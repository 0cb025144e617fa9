"""Keras `fit`, as most people call it and at the best of its settings."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.peers import stream
from benchmarks.peers.base import Peer, Unavailable, tensor_float_32
from benchmarks.workloads import Supervised

# What the search for the best setting tries: inputs, steps_per_execution, jit_compile; what tends
# to win comes first.
GRIDS = {
    "full": (("tf.data", "arrays"), (1, 32, 128), (False, True)),
    "short": (("tf.data",), (128,), (False, True)),
}
SEARCH_SECONDS = 40.0  # after which no further setting is tried: long steps leave little to find
TRY_SECONDS = 2.0  # after which a try is not repeated
FEW_STEPS = 4  # after which a try knows whether it would take too long,
GLANCE_SECONDS = 0.5  # or after as many as take so long: a call has a cost of its own
HOPELESS = 2.0  # times slower with XLA at one step per execution: longer executions cannot mend it


class KerasFit(Peer):
    """`compile` and `fit`, with no progress bar and no callbacks.

    Settings: `input` "arrays" (default; with `batch_size`) or "tf.data" (batched, cached,
    prefetched), `steps_per_execution` (default 1), `jit_compile` (default "auto"), `precision`, the
    policy of every layer, `tf32`, see `tensor_float_32`, `listeners`, how many callbacks read the
    loss of every step; `stream`, see `Peer`.
    """

    workload: Supervised

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """Builds and compiles the Keras model."""
        if not isinstance(self.workload, Supervised):
            raise Unavailable(f"fit cannot say the step of {self.workload.name}")
        self.initial = weights
        self.compile()

    def compile(self) -> None:
        """A new model with the settings as they are now."""
        import keras

        tensor_float_32(self.settings)
        keras.config.set_dtype_policy(self.settings.get("precision", "float32"))
        self.model = self.workload.keras_model()
        self.model.set_weights(self.initial)
        self.model.compile(
            optimizer=self.workload.keras_optimizer(),
            loss=self.workload.keras_loss(),
            metrics=self.workload.metrics(),
            steps_per_execution=self.settings.get("steps_per_execution", 1),
            jit_compile=self.settings.get("jit_compile", "auto"),
        )
        self._pipelines: dict[int, tf.data.Dataset] = {}

    def train(self, batches: int | None = None, epochs: int = 1) -> float:
        """One call of `fit`."""
        x, arguments = self._input(self.rows(batches))
        listeners = [_listener() for _ in range(self.settings.get("listeners", 0))]
        history = self.model.fit(
            x, epochs=epochs, shuffle=False, verbose=0, callbacks=listeners, **arguments
        )
        return float(history.history["loss"][-1])

    def weights(self) -> list[np.ndarray]:
        """The model's weights."""
        return self.model.get_weights()

    def evaluate(self) -> dict[str, float]:
        """`evaluate` over the test split."""
        return self.model.evaluate(
            self.data.x_test, self.data.y_test, batch_size=256, verbose=0, return_dict=True
        )

    def describe(self) -> dict[str, Any]:
        """The settings, with what "auto" came to."""
        return {
            "input": self.settings.get("input", "arrays"),
            "steps_per_execution": self.settings.get("steps_per_execution", 1),
            "jit_compile": self.settings.get("jit_compile", "auto"),
            "jit_compile_in_force": bool(self.model.jit_compile),
        }

    def search(self, batches: int | None, epochs: int, grid: str = "full") -> list[dict[str, Any]]:
        """Tries settings for some steps each; the contender keeps the best.

        Keras resolves `jit_compile="auto"` to True or False before it trains, so both are tried
        and "auto" is one of them.

        Args:
            batches: of an epoch of a try; None for all.
            epochs: of a try.
            grid: of `GRIDS`: "full", or "short", what tends to win.

        Returns:
            One record per setting, with `steps_per_second` or the reason why it was `skipped`.
        """
        tries: list[dict[str, Any]] = []
        begun = time.perf_counter()
        for source, steps, jit in itertools.product(*GRIDS[grid]):
            setting = {"input": source, "steps_per_execution": steps, "jit_compile": jit}
            record: dict[str, Any] = {}
            reason = _hopeless(tries, setting)
            if tries and time.perf_counter() - begun > SEARCH_SECONDS:
                reason = f"the {SEARCH_SECONDS:.0f} s of the search were over"
            if reason is None:
                try:
                    record = {"steps_per_second": self._try(setting, batches, epochs)}
                except (tf.errors.OpError, ValueError, RuntimeError) as error:
                    record = {"skipped": f"{type(error).__name__}: {str(error)[:200]}"}
            else:
                record = {"skipped": reason}
            tries.append({**setting, **record})
        best = max(tries, key=lambda entry: entry.get("steps_per_second", 0.0))
        self.settings = {k: best[k] for k in ("input", "steps_per_execution", "jit_compile")}
        self.compile()
        return tries

    def _try(self, setting: dict[str, Any], batches: int | None, epochs: int) -> float:
        self.settings = setting
        self.compile()
        steps = self._steps(batches, epochs)
        few = max(FEW_STEPS, setting["steps_per_execution"])
        self._timed(few)  # compiles
        best = self._timed(few)
        if self._steps(few) / best < GLANCE_SECONDS:  # a call's own time would count as steps'
            few = round(best * GLANCE_SECONDS)
            best = max(self._timed(few), self._timed(few))
        if steps / best > 3 * TRY_SECONDS:
            return best  # so slow that the few tell enough
        begin = time.perf_counter()
        for _ in range(3):
            best = max(best, self._timed(batches, epochs))
            if time.perf_counter() - begin > TRY_SECONDS:
                break
        return best

    def _timed(self, batches: int | None, epochs: int = 1) -> float:
        """Steps a second of one call."""
        start = time.perf_counter()
        self.train(batches, epochs)
        return self._steps(batches, epochs) / (time.perf_counter() - start)

    def _steps(self, batches: int | None, epochs: int = 1) -> int:
        """How many there are: the data may have fewer batches."""
        return epochs * -(-self.rows(batches) // self.workload.batch_size)

    def _input(self, rows: int) -> tuple[Any, dict[str, Any]]:
        size = self.workload.batch_size
        if self.settings.get("stream") == stream.GENERATOR:
            make = stream.generator(self.data, size, None)
            return make(), {"steps_per_epoch": rows // size}
        if self.settings.get("stream") == stream.DATASET:
            batches = stream.dataset(self.data, size, rows // size)
            return batches.prefetch(tf.data.AUTOTUNE), {}
        x, y = self.data.head(rows)
        if self.settings.get("input", "arrays") == "arrays":
            return x, {"y": y, "batch_size": size}
        if rows not in self._pipelines:
            self._pipelines[rows] = (
                tf.data.Dataset.from_tensor_slices((x, y))
                .batch(size)
                .cache()
                .prefetch(tf.data.AUTOTUNE)
            )
        return self._pipelines[rows], {}


def _listener() -> Any:
    """A callback that keeps the loss of every step: Keras's is a mean since the epoch's begin."""
    import keras

    class Listener(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(logs["loss"])

    return Listener()


def _hopeless(tries: list[dict[str, Any]], setting: dict[str, Any]) -> str | None:
    """Why a setting need not be tried: XLA alone made the steps much longer."""
    plain, jitted = (
        [
            entry.get("steps_per_second", 0.0)
            for entry in tries
            if entry["steps_per_execution"] == 1 and entry["jit_compile"] == jit
        ]
        for jit in (False, True)
    )
    if not setting["jit_compile"] or not plain or not jitted:
        return None
    if max(jitted) * HOPELESS < max(plain):
        slower = f"{max(plain) / max(jitted):.1f} times slower" if max(jitted) else "not at all"
        return f"jit_compile=True ran {slower} at steps_per_execution=1"
    return None
