"""Peer: what every contender can do. All train without shuffling, so all see the same batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from benchmarks.data import Data
from benchmarks.workloads import Workload


class Unavailable(Exception):
    """A contender cannot run here; the message says why."""


def tensor_float_32(settings: Mapping[str, Any]) -> None:
    """Turns products of float32 by TF32, on GPUs that have it, on or off where `tf32` says so."""
    if "tf32" in settings:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(settings["tf32"])


class Peer:
    """One way to train a workload.

    Args:
        workload: model, loss, optimizer and metrics.
        data: the arrays; rows are taken in their order, the last batch may be smaller.
        weights: initial weights in the order of the Keras model.
        settings: of this kind of contender, such as `{"jit_compile": True}`. Some take `stream`
            ("dataset" or "generator") and `rows`: how the data comes, and of what length, see
            `benchmarks.peers.stream`.

    Raises:
        Unavailable: a library is missing, or something that the contender needs of it.
    """

    # Imported before the clock of the first step starts, as TensorFlow is.
    libraries: ClassVar[Sequence[str]] = ("keras",)

    def __init__(
        self,
        workload: Workload,
        data: Data,
        weights: Sequence[np.ndarray],
        settings: dict[str, Any],
    ) -> None:
        self.workload = workload
        self.data = data
        self.settings = settings
        self.setup(weights)

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """Makes the model with `weights`, the optimizer and all else that training needs."""
        raise NotImplementedError

    def train(self, batches: int | None = None, epochs: int = 1) -> float:
        """Trains on the first `batches` batches (None: all), `epochs` times over.

        Returns:
            The mean loss over the rows of the last epoch, as a number: the work is done by then.
        """
        raise NotImplementedError

    def plan(self, batches: int | None = None) -> None:
        """What a long run does once and a short one does not: choosing how to compile, say."""

    def weights(self) -> list[np.ndarray]:
        """The weights now, in the order of the Keras model."""
        raise NotImplementedError

    def evaluate(self) -> dict[str, float]:
        """Loss and accuracy over the test split."""
        raise NotImplementedError

    def rows(self, batches: int | None) -> int:
        """The rows in the first `batches` batches."""
        total = self.settings.get("rows", len(self.data.x_train))
        return total if batches is None else min(total, batches * self.workload.batch_size)

    def noted(self) -> dict[str, Any]:
        """What else is to be known of the last `train`; `seconds`, where told, count."""
        return {}

    def describe(self) -> dict[str, Any]:
        """What a reader of the results should know of the settings in force."""
        return dict(self.settings)
