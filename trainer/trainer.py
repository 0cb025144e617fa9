"""Trainer: fit, evaluate and predict, for a model with a loss or for a task of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import arguments, state
from trainer.callbacks.base import Callback
from trainer.callbacks.history import History
from trainer.callbacks.progress import Progress
from trainer.callbacks.triggers import Trigger
from trainer.data.checks import check_labels
from trainer.data.segment import Segment, Source
from trainer.data.source import open_source
from trainer.data.split import is_stream, split
from trainer.loop import Loop
from trainer.metrics.windows import Window
from trainer.programs import Programs
from trainer.random import Seeds, fold, handed
from trainer.run import FitRun, Goal, Position, Validation
from trainer.supervised import Supervised

_BUILD = -1  # the stream of seeds for initial weights, beside those of the steps


class Trainer:
    """Trains a model, or a task.

    `Trainer(model, loss=..., optimizer=..., metrics=[...])` is supervised training as in Keras;
    `Trainer(task)` runs a `Task` whose `step` is one's own.

    Args:
        model_or_task: a `Task`, or a model: a layer or model of ours, any `tf.Module` with
            `__call__`, or a Keras model; built or not.
        loss: a loss of ours or of Keras, a string such as "mse", or a function
            `fn(y_true, y_pred)` giving one value per example; a list or dict for several outputs.
        optimizer: an optimizer of ours or of Keras, a string such as "adam", or any object with
            `apply(gradients, variables)`.
        metrics: strings, metrics or functions; a dict by output name for several outputs. They
            ignore sample weights.
        weighted_metrics: the same, weighted by the sample weights.
        loss_weights: numbers by which the losses of several outputs are weighted.
        accumulate: parts of a step: a step takes `accumulate` times the batch size and makes one
            update, exactly as one large batch would. (BatchNormalization's statistics are each
            part's own.)
        jit: "auto" finds the fastest way of compiling and remembers it; False leaves all to
            TensorFlow, "step" lets XLA compile each step, "loop" the whole loop.
        gradient_norm: whether each step reports the global norm of its gradient.
        seed: of initial weights, shuffling and random layers.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument has a value that is not allowed.

    Example:
        >>> import numpy as np, tensorflow as tf
        >>> class Line(tf.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.w = tf.Variable([[0.0]])
        ...     def __call__(self, x):
        ...         return x @ self.w
        >>> x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
        >>> trainer = Trainer(Line(), loss="mse", optimizer="sgd")
        >>> history = trainer.fit(x, 3 * x, epochs=2, verbose=0)
        >>> len(history.history["loss"])
        2
    """

    def __init__(
        self,
        model_or_task: Any,
        *,
        loss: Any = None,
        optimizer: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        loss_weights: Any = None,
        accumulate: int = 1,
        jit: str | bool = "auto",
        gradient_norm: bool = False,
        seed: int = 0,
    ) -> None:
        self.accumulate = arguments.whole("accumulate", accumulate, at_least=1)
        self.seed = arguments.whole("seed", seed, at_least=0)
        given = {
            "loss": loss,
            "optimizer": optimizer,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "loss_weights": loss_weights,
        }
        self.task = arguments.task(model_or_task, given, self.accumulate)
        self.history: History | None = None
        self._position = Position()
        self._endless: Any = None  # the data of the last fit, if it never ends
        self._built: set[str] = set()
        self.programs = Programs(
            self.task,
            jit=arguments.jit(jit),
            seed=self.seed,
            accumulate=self.accumulate,
            gradient_norm=bool(gradient_norm),
        )

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._position.step

    @property
    def epoch(self) -> int:
        """Epochs completed so far."""
        return self._position.epoch

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        steps_per_epoch: int | None = None,
        verbose: str | int = "auto",
        callbacks: Sequence[Callback] | None = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        validation_freq: int | Trigger = 1,
        validation_batch_size: int | None = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
    ) -> History:
        """Trains, from where the last `fit` ended.

        Args:
            x: inputs: an array or a nest of arrays with examples along the first axis; or a
                `tf.data.Dataset`, a generator (or a function that makes one) or a
                `keras.utils.PyDataset` that yields batches `(x, y)` or `(x, y, sample_weight)`.
            y: targets, for arrays.
            batch_size: rows of a batch, for arrays; 32 when not given.
            epochs: epochs to train now; 1 when neither it nor `steps` is given.
            steps: updates to make now, instead of `epochs`; goes on in the epoch that is open.
            steps_per_epoch: updates that make an epoch, for data without an end of its own.
            verbose: 0 silent, 1 a progress bar, 2 a line per epoch; "auto" is 1.
            callbacks: see `trainer.callbacks`.
            validation_data: `(x, y)`, `(x, y, sample_weight)`, or a stream as `x` may be.
            validation_split: share of the arrays, from their end, kept for validation instead.
            validation_freq: validate every so many epochs, or a trigger: `Every(steps=500)`.
            validation_batch_size: rows of a validation batch; `batch_size` when not given.
            shuffle: arrays in a new order each epoch, a pure function of (seed, epoch).
            class_weight: class -> weight of its examples in the loss.
            sample_weight: `[n]`, weights of the examples in the loss.

        Returns:
            `History` with the values of every step and every epoch.

        Raises:
            ValueError, TypeError: something given does not fit; nothing has been trained then.
            CallbackError: a callback failed; everything trained so far is kept.
            KeyboardInterrupt: after Ctrl-C, at the end of the running call; everything trained is
                kept and another `fit` goes on from there.
        """
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f"verbose={verbose!r}; it is 'auto', 0, 1 or 2.")
        goal_steps, goal_epochs = arguments.goal(steps, epochs)
        every = arguments.validation_trigger(validation_freq)
        if validation_split:
            if validation_data is not None:
                raise ValueError("pass either validation_data or validation_split, not both.")
            (x, y, sample_weight), validation_data = split(x, y, sample_weight, validation_split)
        source = self._open(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            join=self.accumulate,
            class_weight=class_weight,
        )
        held_out = self._open_validation(validation_data, validation_batch_size or batch_size)
        self._build("train", source, y, batch_size)
        if held_out is not None:
            y = _targets(validation_data)
            self._build("evaluate", held_out, y, batch_size, argument="validation_data[1]")
        position = self._enter(source, steps_per_epoch, new_epoch=goal_steps is None)
        if x is not self._endless:  # else it goes on where the last fit left it
            position.taken = 0
        self._endless = x if source.infinite else None
        goal = Goal(
            step=None if goal_steps is None else position.step + goal_steps,
            epoch=None if goal_epochs is None else position.epoch + goal_epochs,
            steps_per_epoch=steps_per_epoch or source.steps_per_epoch,
        )
        if goal.step is None and goal.steps_per_epoch is None and source.infinite:
            raise ValueError(
                "x never ends, so an epoch has no end: pass steps_per_epoch=, or steps= in place "
                "of epochs=."
            )
        total = goal.total_steps(position)
        planned = None if total is None else total - position.step
        validation = None
        if held_out is not None:
            often = goal_epochs or 1
            validation = Validation(lambda: self._evaluate(held_out, often, verbose=0), every)
        say = print if verbose else None
        self.history = History()
        run = FitRun(
            self.task,
            position,
            source,
            lambda segment: self.programs.loop("train", source.fetch, segment, planned, say),
            goal,
            history=self.history,
            callbacks=_with_progress(callbacks, verbose),
            validation=validation,
        )
        try:
            run.go()
        finally:
            # The same unless a step failed amid a call, after others that count.
            position.step = int(self.programs.counter)
            source.close()
            if held_out is not None:
                held_out.close()
        return self.history

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        sample_weight: Any = None,
        verbose: str | int = "auto",
    ) -> dict[str, float]:
        """The loss and metrics over all of the data, exactly (float64 sums over all examples).

        Args:
            x: inputs, or a stream of batches, as in `fit`.
            y: targets, for arrays.
            batch_size: rows of a batch, for arrays; 32 when not given.
            sample_weight: `[n]`, weights of the examples in the loss and `weighted_metrics`.
            verbose: 0 says nothing.

        Returns:
            name -> value.
        """
        source = self._open(x, y, sample_weight, batch_size=batch_size)
        try:
            if source.infinite:
                raise ValueError("x never ends, so it cannot be evaluated on; pass x.take(n).")
            self._build("evaluate", source, y, batch_size)
            return self._evaluate(source, 1, verbose)
        finally:
            source.close()

    def predict(self, x: Any, *, batch_size: int | None = None) -> Any:
        """The model's outputs for every example of `x`, in order.

        Args:
            x: inputs, or a stream of batches (of which only the inputs are used).
            batch_size: rows of a batch, for arrays; 32 when not given.

        Returns:
            A NumPy array `[n, ...]`, or a nest of them, as the model's output.
        """
        plain = is_stream(x) or not isinstance(self.task, Supervised)
        source = self._open(x if plain else (x,), batch_size=batch_size)
        try:
            if source.infinite:
                raise ValueError("x never ends, so it cannot be predicted; pass x.take(n).")
            self._build("predict", source, None, batch_size)
            chunks: list[Any] = []
            for loop, segment, first, n in self._calls("predict", source, 1):
                found = loop(segment.args, first, n).outputs
                chunks.append(tf.nest.map_structure(lambda a: a.reshape(-1, *a.shape[2:]), found))
            return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *chunks)
        finally:
            source.close()

    # How the pieces come together.

    def _open(self, x: Any, y: Any = None, sample_weight: Any = None, **how: Any) -> Source:
        return open_source(x, y, sample_weight, seed=self.seed, **how)

    def _open_validation(self, data: Any, batch_size: int | None) -> Source | None:
        if data is None:
            return None
        if is_stream(data):
            source = self._open(data, argument="validation_data")
        elif isinstance(data, (tuple, list)) and len(data) in (2, 3):
            source = self._open(*data, batch_size=batch_size, argument="validation_data")
        elif isinstance(self.task, Supervised):
            raise ValueError(
                f"validation_data is a {type(data).__name__}; pass (x, y), (x, y, sample_weight) "
                "or a stream of such batches."
            )
        else:
            source = self._open(data, batch_size=batch_size, argument="validation_data")
        if source.infinite:
            raise ValueError("validation_data never ends; pass validation_data.take(n).")
        return source

    def _build(
        self, verb: str, source: Source, y: Any, rows: int | None, *, argument: str = "y"
    ) -> None:
        """Makes all variables, outside of any trace, from one batch of the data."""
        key = f"{verb} {source.element_spec}"
        if key in self._built:
            self._check_labels(y, argument)
            return
        batch = source.example(self.task.build_rows or (rows or 32) * self.accumulate)
        modules = state.modules(self.task)
        with handed(modules, Seeds(fold(self.seed, _BUILD), 0).next), state.untouched(self.task):
            self.task.build(batch, verb)
        self._built.add(key)
        self._check_labels(y, argument)

    def _check_labels(self, y: Any, argument: str) -> None:
        """Integer labels out of range would be silent nonsense in a compiled step."""
        if isinstance(self.task, Supervised):
            for target in self.task.objective.integer_targets(y, argument):
                check_labels(*target)

    def _enter(self, source: Source, steps_per_epoch: int | None, new_epoch: bool) -> Position:
        """Where training goes on: in the open epoch if the data still has one like it."""
        position = self._position
        length = steps_per_epoch or source.steps_per_epoch
        if position.epoch_step and (
            new_epoch or (length is not None and position.epoch_step >= length)
        ):
            position.epoch += 1
            position.epoch_step = 0
        return position

    def _evaluate(self, source: Source, repeats: int, verbose: str | int) -> dict[str, float]:
        window = Window(self.task.metrics)
        for loop, segment, first, n in self._calls("evaluate", source, repeats):
            columns = loop(segment.args, first, n)
            window.add(columns.sums, columns.carried)
        values = window.values()
        if verbose:
            print("  ".join(f"{name}: {value:.6g}" for name, value in values.items()))
        return values

    def _calls(
        self, verb: str, source: Source, repeats: int
    ) -> Iterator[tuple[Loop, Segment, int, int]]:
        """Goes once over the data: yields (loop, segment, first step, number of steps)."""
        known = source.steps_per_epoch
        reader, empty = source.reader(0), True
        try:
            while (segment := reader.take(2**30)) is not None:
                empty = False
                loop = self.programs.loop(verb, source.fetch, segment, known and known * repeats)
                for first in range(0, segment.steps, loop.capacity):
                    yield loop, segment, first, min(loop.capacity, segment.steps - first)
                if segment.last:
                    break
        finally:
            reader.close()
        if empty:
            raise ValueError("the data gave no batch: pass data with at least one example.")


def _targets(data: Any) -> Any:
    return data[1] if isinstance(data, (tuple, list)) and len(data) in (2, 3) else None


def _with_progress(
    callbacks: Callback | Sequence[Callback] | None, verbose: str | int
) -> list[Callback]:
    given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
    if not verbose or any(isinstance(c, Progress) for c in given):
        return given
    return [Progress(verbose=1 if verbose == "auto" else int(verbose)), *given]
