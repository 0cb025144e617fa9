"""Handle: a run as callbacks have it, to look at and to act on at a boundary."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from trainer import arguments, state
from trainer.callbacks.runner import Callbacks
from trainer.calls import Goal, Position
from trainer.checkpoint.session import OWN
from trainer.clock import Clock
from trainer.compiling.cost import cost_of
from trainer.distribution.consensus import Consensus
from trainer.loop import Loop
from trainer.metrics.windows import Window
from trainer.roles import GoodState, Saver, Verbs
from trainer.weights.transfer import save_weights

if TYPE_CHECKING:
    from trainer.task import Task


class Handle:
    """What is known of a run, and what may be done to it (`callbacks.base.Run`).

    Args:
        task: what is trained.
        position: where training stands.
        goal: when the run ends.
        window: the sums of the open epoch.
        scales: name -> variable, of the loss scales.
        start_step: where the run began.
        validates: whether it validates.
        consensus: how long it takes so far, and which worker writes.
        callbacks: those that put other weights in place while the model is evaluated.
        saver: takes the checkpoints, if any.
        verbs: what else the trainer can do.
        clock: counts where the time goes.

    Attributes:
        names: of the values that reports carry; known once the run has started.
        step_names: those of them that each step has.
        graph: of a step, and `rows` its rows: of the largest step so far.
    """

    def __init__(
        self,
        task: Task,
        position: Position,
        goal: Goal,
        window: Window,
        *,
        scales: Mapping[str, tf.Variable],
        start_step: int,
        validates: bool,
        consensus: Consensus,
        callbacks: Callbacks,
        saver: Saver | None,
        verbs: Verbs,
        clock: Clock,
    ) -> None:
        self.task = task
        self.names: list[str] = []
        self.step_names: list[str] = []
        self.monitored = {
            prefix + name: metric.direction
            for prefix in ("", "val_")
            for name, metric in task.metrics.items()
            if metric.direction
        }
        self.start_step = start_step
        self.total_steps = goal.total_steps(position)
        self.epochs = goal.epoch
        self.steps_per_epoch = goal.steps_per_epoch
        self.validates = validates
        self.graph: tf.Graph | None = None
        self.rows: int | None = None
        self._position, self._window, self._scales = position, window, scales
        self._consensus, self._callbacks = consensus, callbacks
        self._saver, self._verbs, self._clock = saver, verbs, clock

    def note(self, loop: Loop, rows: int) -> None:
        """Tells of the loop that is about to run; the ragged end of an epoch changes nothing."""
        if rows > (self.rows or 0):
            self.graph, self.rows = loop.graphs[0], rows

    @property
    def chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return self._consensus.chief

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._position.step

    @property
    def epoch(self) -> int:
        """Epochs completed so far."""
        return self._position.epoch

    @property
    def seconds(self) -> float:
        """Since fit began."""
        return self._consensus.seconds

    @property
    def optimizers(self) -> dict[str, Any]:
        """Path in the task -> optimizer."""
        return state.optimizers(self.task)

    @property
    def flops(self) -> float | None:
        """Floating-point operations of a step, where its graph tells them."""
        cost = None if self.graph is None else cost_of(self.graph)
        return cost.flops if cost and not (cost.convolutions or cost.loops) else None

    def save_weights(self, path: Any) -> None:
        """Writes the model's weights, those that validation uses, to one file."""
        with self._callbacks.evaluating(self):
            save_weights(arguments.weights_root(self.task), path)

    def export(self, path: Any) -> None:
        """Writes a SavedModel with the weights that validation uses."""
        with self._callbacks.evaluating(self):
            self._verbs.export(path)

    def predict(self, x: Any, batch_size: int | None = None) -> Any:
        """The model's outputs with the weights that validation uses."""
        with self._callbacks.evaluating(self):
            return self._verbs.predict(x, batch_size=batch_size)

    def snapshot(self) -> dict[str, Any]:
        """A copy of everything trained, as it is now."""
        return dict(zip(self.variables, self._read(), strict=True))

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Puts the model's weights of a snapshot back; optimizers keep theirs, as in Keras."""
        for path, variable in state.model_variables(self.task).items():
            variable.assign(snapshot[path])

    def good_state(self) -> GoodState:
        """Everything trained and what the open epoch has summed, for `rewind`."""
        return GoodState(self.snapshot(), dict(self._window.sums), self._position.epoch)

    def rewind(self, good: GoodState) -> None:
        """Puts that back; the steps since are undone, and out of the open epoch's sums again.

        Their numbers and their batches are used up: training goes on with the next ones.
        """
        for path, variable in self.variables.items():
            variable.assign(good.values[path])
        self._window.sums = dict(good.sums) if good.epoch == self._position.epoch else {}

    @functools.cached_property
    def variables(self) -> dict[str, tf.Variable]:
        """The task's, and those of the loss scales, by their names in a checkpoint."""
        # All were made before the first step; finding them takes as long as some small steps.
        scales = {f"{OWN}/{name}": variable for name, variable in self._scales.items()}
        return {**state.variables(self.task), **scales}

    @functools.cached_property
    def _read(self) -> Callable[[], list[tf.Tensor]]:
        """Reads all variables in one call. What it gives stays: TensorFlow copies at an update."""
        variables = list(self.variables.values())

        @tf.function(autograph=False)
        def read() -> list[tf.Tensor]:
            return [v.read_value() for v in variables]

        return read.get_concrete_function()

    def wait_for_checkpoints(self) -> None:
        """Returns when all that were taken are on disk."""
        if self._saver is not None:
            with self._clock.during("checkpoint"):
                self._saver.finish()
