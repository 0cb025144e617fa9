"""Orbit: its StandardTrainer with the loop in graph, driven by its Controller."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from benchmarks.peers.base import Unavailable
from benchmarks.peers.hand import Hand

INSTALL = "pip install --no-deps tf-models-official==2.20.0 tf-keras==2.21.0"


class OrbitLoop(Hand):
    """The hand-written step inside Orbit's loop; one loop per epoch.

    Orbit's own dependencies are many and not needed; `INSTALL` brings what is.
    """

    def setup(self, weights: Sequence[np.ndarray]) -> None:
        """The hand-written step, and Orbit's trainer and controller around it."""
        try:
            import orbit
        except ImportError as error:
            raise Unavailable(f"Orbit is not installed ({error}); {INSTALL}") from error
        super().setup(weights)
        peer = self

        class Trainer(orbit.StandardTrainer):
            def train_loop_begin(self):
                peer.reset()

            def train_step(self, iterator):
                peer._step(*next(iterator))

            def train_loop_end(self):
                return {name: mean.result() for name, mean in peer.means.items()}

        self.loop_steps = 1
        self.loop_rows = -1
        self.trainer = Trainer(None)
        self.global_step = orbit.utils.create_global_step()
        self.controller = orbit.Controller(
            trainer=self.trainer,
            global_step=self.global_step,
            steps_per_loop=lambda step: self.loop_steps,
        )

    def _step(self, *batch):
        super()._step(*batch)
        self.global_step.assign_add(1)

    def train(self, batches: int | None = None, epochs: int = 1) -> float:
        """`Controller.train` for as many steps; the pipeline repeats."""
        rows = self.rows(batches)
        if rows != self.loop_rows:
            self.loop_rows = rows
            self.loop_steps = -(-rows // self.workload.batch_size)
            self.trainer.train_dataset = self._pipeline(rows)
        steps = int(self.global_step.numpy()) + epochs * self.loop_steps
        self.controller.train(steps, checkpoint_at_completion=False)
        return self.results()["loss"]

    def _batches(self, rows: int) -> tf.data.Dataset:
        return super()._batches(rows).repeat()
