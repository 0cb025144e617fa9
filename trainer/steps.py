"""Steps: what one step of each verb is, as a function of the batch and of the step's number."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from trainer import arguments, state
from trainer.context import StepContext
from trainer.distribution.replica import Replica, rows_of
from trainer.distribution.replicas import Replicas
from trainer.instruments.readout import Readout
from trainer.loop import StepOutput
from trainer.precision.computing import Computing
from trainer.precision.policy import widened
from trainer.random import Seeds, fold, handed
from trainer.task import Task

_EVALUATE = -2  # the stream of seeds for evaluation, beside those of the steps


class Steps:
    """Steps of a task, on all replicas, in the precision asked for.

    Args:
        task: whose steps they are.
        computing: what layers compute in, and the loss scales.
        replicas: who runs them.
        stop: a bool variable that ends the run before its next step.
        seed: of the random layers.
        accumulate: parts of a training step.
        gradient_norm: whether a training step reports it.
        warn: told what should be known once.

    Attributes:
        seed: of the random layers.
        gradient_norm: whether a training step reports it.
        parts: of a training step: more than `accumulate` where a batch did not fit into memory.
        rows: verb -> the most rows of a batch seen.
    """

    def __init__(
        self,
        task: Task,
        computing: Computing,
        replicas: Replicas,
        *,
        stop: tf.Variable,
        seed: int,
        accumulate: int,
        gradient_norm: bool,
        warn: Callable[[str], None],
    ) -> None:
        self.seed, self.gradient_norm = seed, gradient_norm
        self.parts = accumulate
        self.rows: dict[str, int] = {}
        self._task, self._computing, self._replicas = task, computing, replicas
        self._stop, self._warn = stop, warn

    def own(self, verb: str) -> Callable[[int, int], list[tuple[int, int]]]:
        """`own(rows, full)`: what this worker's replicas will take of so many rows, as `of` does.

        There may be more parts than were asked for, or larger batches (here `full`) earlier.
        """

        def spans(rows: int, full: int) -> list[tuple[int, int]]:
            parts = self.parts if verb == "train" else 1
            return self._replicas.rows(rows, parts, max(full, self.rows.get(verb, 0)))

        return spans

    def of(
        self,
        verb: str,
        context: Callable[..., StepContext] = StepContext,
        readout: Readout | None = None,
        by_xla: bool = False,
    ) -> Callable[[Any, tf.Tensor], StepOutput]:
        """A verb's step, which may be called eagerly too.

        Args:
            verb: "train", "evaluate" or "predict".
            context: makes what the step is handed.
            readout: reads the step, whose outputs are then a row.
            by_xla: whether XLA compiles what the step does between exchanges of the replicas.
        """
        task = self._task
        parts = self.parts if verb == "train" else 1
        if verb == "train":
            self._computing.build()
        seed = self.seed if verb == "train" else fold(self.seed, _EVALUATE)
        running = threading.local()  # each replica is traced by a thread of its own

        def one(batch: Any, number: tf.Tensor, replica: Replica) -> StepOutput:
            running.seeds = Seeds(seed, number, replica.index)
            if self._replicas.by_example:
                running.seeds.rows = replica.numbers(rows_of(batch))
            ctx = context(
                running.seeds,
                parts=parts,
                gradient_norm=self.gradient_norm,
                label=lambda optimizer: arguments.label(task, optimizer),
                readout=readout,
                scaler=self._computing.scalers.of,
                warn=self._warn,
                replica=replica,
                by_xla=by_xla,
            )
            if readout is not None:
                readout.begin()
            if verb == "predict":
                with arguments.traceable():
                    return StepOutput({}, {}, widened(task.predict_step(batch, ctx)))
            with arguments.traceable():
                sums = task.step(batch, ctx) if verb == "train" else task.eval_step(batch, ctx)
            row = () if readout is None else readout.row()
            return StepOutput(arguments.check_sums(sums, task, verb), ctx.scalars, row)

        def draw() -> tf.Tensor:
            return running.seeds.for_layers()

        def full() -> float:
            return self.rows.get(verb, 0) if verb == "train" else math.inf

        step = self._replicas.spread_step(one, self._stop, parts, full)

        def run(batch: Any, number: tf.Tensor) -> StepOutput:
            with self._computing.in_force(), handed(state.modules(task), draw):
                out = step(batch, number)
            if readout is None:
                return out
            return out._replace(outputs=out.outputs[: readout.width])  # of the first replica

        return run
