"""Trainer: fit, evaluate and predict, for a model with a loss or for a task of one's own."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from trainer import arguments, passes, state
from trainer.building import Building
from trainer.callbacks.base import Callback
from trainer.callbacks.history import History
from trainer.callbacks.progress import with_progress
from trainer.callbacks.triggers import Trigger
from trainer.calls import Position
from trainer.checkpoint.session import Session
from trainer.checkpoint.settings import Checkpoint
from trainer.clock import Clock
from trainer.compiling.choice import Choice
from trainer.compiling.recompute import mark
from trainer.compiling.settings import VERBS, Jit
from trainer.data.segment import Source
from trainer.data.source import open_source, open_validation, targets_of
from trainer.data.split import is_stream, split
from trainer.distribution import agreement, lost
from trainer.distribution.replicas import Replicas
from trainer.distribution.settings import settings
from trainer.fit import Fit
from trainer.identity import Identity
from trainer.inspect.dry_run import dry_run as rehearse
from trainer.metrics.windows import scalars
from trainer.precision.overflows import Overflows
from trainer.precision.policy import Precision
from trainer.programs import Programs
from trainer.roles import Verbs
from trainer.supervised import Supervised
from trainer.weights.saved_model import export, servable
from trainer.weights.transfer import save_weights


@lost.among_peers("fit", "evaluate", "predict", "plan")
class Trainer(Identity):
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
        jit: "auto" finds the fastest way of compiling and remembers it; False leaves loop and
            step to TensorFlow, "step" lets XLA compile each step, "loop" the whole loop; a dict of
            these by function ("train", "evaluate", "predict"); or `Jit(...)`.
        strategy: a `tf.distribute.Strategy` (or `Replication`) whose replicas share each batch;
            None: the one whose scope is open, or one device. Variables are moved into it.
        gradient_norm: whether each step reports the global norm of its gradient.
        precision: what layers compute in: "float32", "mixed_bfloat16", "mixed_float16", or a
            `Precision`; None leaves each as it is set. Variables are float32 in all of them.
        recompute: a regular expression: layers whose path in the task matches it as a whole, such
            as "model/layers/.*", compute their activations again in the backward pass.
        checkpoint: a folder, or `Checkpoint(folder, ...)`: training is kept there, and goes on from
            there when the same script is run again.
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
        jit: Any = "auto",
        strategy: Any = None,
        gradient_norm: bool = False,
        precision: str | Precision | None = None,
        recompute: str | None = None,
        checkpoint: Any = None,
        seed: int = 0,
    ) -> None:
        self.accumulate = arguments.whole("accumulate", accumulate, at_least=1)
        self.seed = arguments.whole("seed", seed, at_least=0)
        self.precision = Precision.of(precision)
        self._same = {"seed": seed, "accumulate": accumulate, "precision": str(self.precision)}
        given = {"loss": loss, "optimizer": optimizer, "metrics": metrics}
        given |= {"weighted_metrics": weighted_metrics, "loss_weights": loss_weights}
        self._replicas = Replicas(strategy)
        with lost.told(self._replicas), self._replicas.scope():
            said = {"jit": jit, "gradient_norm": gradient_norm, "recompute": recompute}
            said |= {**self._same, "replication": self._replicas.given}
            agreement.check(self._replicas, partial(agreement.program, said))
            self.task = arguments.task(model_or_task, given, self.accumulate)
            agreement.check(self._replicas, lambda: {"task": settings(self.task)})
            self._replicas.adopt(self.task)
        mark(self.task, recompute)
        self.history: History | None = None
        self._position = Position()
        self.programs = Programs(
            self.task,
            jit=Jit.of(jit, self._replicas.count, self._replicas.as_one),
            seed=self.seed,
            accumulate=self.accumulate,
            gradient_norm=bool(gradient_norm),
            replicas=self._replicas,
            precision=self.precision,
        )
        made_in = self.programs.computing.making
        self._building = Building(self.task, self.seed, self.accumulate, made_in)
        self._session = self._open_session(checkpoint)
        self._fit = Fit(self.task, self.programs, self._position, self._session, self._replicas)

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
        dry_run: bool = False,
    ) -> History:
        """Trains, from where the last `fit` ended.

        Args:
            x: inputs: an array or a nest of arrays with examples along the first axis; or a
                `tf.data.Dataset`, a generator (or a function that makes one) or a
                `keras.utils.PyDataset` that yields batches `(x, y)` or `(x, y, sample_weight)`.
            y: targets, for arrays.
            batch_size: rows of a batch, for arrays; 32 when not given.
            epochs: epochs to train now; 1 when neither it nor `steps` is given.
            steps: the step to train to, counted over all calls of fit, instead of `epochs`; goes
                on in the epoch that is open.
            steps_per_epoch: updates that make an epoch, for data without an end of its own.
            verbose: 0 silent, 1 a bar, 2 lines and a table of where the time went; "auto" is 1.
            callbacks: see `trainer.callbacks`.
            validation_data: `(x, y)`, `(x, y, sample_weight)`, or a stream as `x` may be.
            validation_split: share of the arrays, from their end, kept for validation instead.
            validation_freq: validate every so many epochs, or a trigger: `Every(steps=500)`.
            validation_batch_size: rows of a validation batch; `batch_size` when not given.
            shuffle: arrays in a new order each epoch, a pure function of (seed, epoch).
            class_weight: class -> weight of its examples in the loss.
            sample_weight: `[n]`, weights of the examples in the loss.
            dry_run: do one step of everything instead, in a temporary folder; the run is untouched.

        Returns:
            `History` with the values of every step and every epoch.

        Raises:
            ValueError, TypeError: something given does not fit; nothing has been trained then.
            CallbackError: a callback failed; everything trained so far is kept.
            KeyboardInterrupt: after Ctrl-C, within the running call; everything trained is kept,
                on disk too if checkpoints are taken, and another `fit` goes on from there.
            Preempted: after SIGTERM, where checkpoints are taken: the last one holds everything.
                A SystemExit with code 143.
            CheckpointError: no checkpoint could be read or written; see `Checkpoint`.
            Disagreement: workers differ in settings, code or data; a SystemExit with code 78.
            LostPeer: another worker is lost; a SystemExit with code 75.
        """
        given, clock = dict(locals()), Clock()
        if dry_run:
            return rehearse(self, {k: v for k, v in given.items() if k not in ("self", "dry_run")})
        say = arguments.say(verbose, self._replicas.chief)
        asked = arguments.asked(steps, epochs)
        every = arguments.validation_trigger(validation_freq)
        if validation_split:
            if validation_data is not None:
                raise ValueError("pass either validation_data or validation_split, not both.")
            (x, y, sample_weight), validation_data = split(x, y, sample_weight, validation_split)
        source = self.prepare(
            x,
            y,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            class_weight=class_weight,
        )
        held_out = None
        try:
            held_out = open_validation(
                validation_data,
                batch_size=validation_batch_size or batch_size,
                seed=self.seed,
                pairs=isinstance(self.task, Supervised),
                own=self.programs.steps.own("evaluate"),
            )
            if held_out is not None:
                y = targets_of(validation_data)
                self._building.build(
                    "evaluate", held_out, y, batch_size, argument="validation_data[1]"
                )
            how = {**asked, "steps_per_epoch": steps_per_epoch, "validation_freq": every}
            self._fit.agree(how, source, held_out)
            with self._session.open(self._position, say) if self._session else nullcontext():
                call = self._fit.enter(x, source, asked, steps_per_epoch)
                self.history = call.history
                if call.done:
                    say(f"fit is done already: {call.history}")
                    return call.history
                validation = passes.validation(self.task, self.programs, held_out, asked, every)
                self._fit.run(
                    call,
                    source,
                    steps_per_epoch,
                    callbacks=with_progress(callbacks, verbose),
                    validation=validation,
                    say=say,
                    table=verbose == 2,
                    clock=clock,
                    verbs=Verbs(self.predict, self.export),
                )
        finally:
            source.close()
            if held_out is not None:
                held_out.close()
        return call.history

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        sample_weight: Any = None,
        verbose: str | int = "auto",
    ) -> dict[str, Any]:
        """The loss and metrics over all of the data, exactly (float64 sums over all examples).

        Args:
            x: inputs, or a stream of batches, as in `fit`.
            y: targets, for arrays.
            batch_size: rows of a batch, for arrays; 32 when not given.
            sample_weight: `[n]`, weights of the examples in the loss and `weighted_metrics`.
            verbose: 0 says nothing.

        Returns:
            name -> value: a float, or an array from a metric of several values.
        """
        with self._pass("evaluate", x, y, batch_size, sample_weight) as source:
            values = passes.evaluate(self.task, self.programs, source, 1)
        assert values is not None
        if verbose and self._replicas.chief:
            print("  ".join(f"{name}: {value:.6g}" for name, value in scalars(values).items()))
        return values

    def predict(self, x: Any, *, batch_size: int | None = None) -> Any:
        """The model's outputs for every example of `x`, in order.

        Args:
            x: inputs, or a stream of batches (of which only the inputs are used).
            batch_size: rows of a batch, for arrays; 32 when not given.

        Returns:
            A NumPy array `[n, ...]`, or a nest of them, as the model's output.
        """
        plain = is_stream(x) or not isinstance(self.task, Supervised)
        with self._pass("predict", x if plain else (x,), None, batch_size, None) as source:
            return passes.predict(self.programs, source)

    def plan(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        steps: int | None = None,
        sample_weight: Any = None,
        function: str = "train",
    ) -> Choice:
        """Finds the fastest way of compiling as `fit` would, prints what was tried, remembers it.

        The state is put back; what is on record for this program and machine is not tried again.

        Args:
            x: inputs, or a stream of batches, as in `fit`.
            y: targets, for arrays.
            batch_size: rows of a batch, for arrays; 32 when not given.
            steps: how long a run to plan for; None for a long one.
            sample_weight: `[n]`, as in `fit`.
            function: "train", "evaluate" or "predict".

        Returns:
            The `Choice`, with what was tried; `table()` gives it as text.
        """
        if function not in VERBS:
            raise ValueError(f"function={function!r}; it is one of {', '.join(VERBS)}.")
        join = self.accumulate if function == "train" else 1
        source = self._open(function, x, y, sample_weight, batch_size=batch_size, join=join)
        try:
            self._building.build(function, source, y, batch_size)
            segment = passes.first_segment(source)
            choice = self.programs.plan(function, source.fetch, segment, steps)
        finally:
            source.close()
        print(choice.table())
        return choice

    def save_weights(self, path: Any) -> None:
        """Writes the weights to `.npz` or `.safetensors`; see `trainer.weights.save_weights`.

        They are the model's, under its own names, or all of a task's.
        """
        save_weights(self._building.later.root, path)

    def load_weights(self, path: Any, partial: str | None = None) -> None:
        """Loads weights; where they have no variables yet, as soon as data have built the model.

        See `trainer.weights.load_weights` for formats, `partial` and errors.
        """
        self._building.load(path, partial)

    def export(self, path: Any) -> None:
        """Writes a SavedModel for inputs like those built with; see `trainer.weights.export`."""
        model, input_spec = servable(self.task, self._building.specs)
        with self.programs.computing.in_force():
            export(model, path, input_spec)

    def overflows(self) -> Overflows:
        """Updates that a loss scale left out, and for which variables; print it for a table."""
        return self.programs.computing.scalers.overflows

    @contextmanager
    def scratch(self, *, jit: str | bool | None = None, folder: Any = None) -> Iterator[Trainer]:
        """A trainer on which anything may be tried: at the end all values are put back.

        It has the same task, and a position and checkpoints of its own.

        Args:
            jit: how to compile, where it should be otherwise than here.
            folder: where to take checkpoints, if the trainer takes any; None takes none.
        """
        trial = copy.copy(self)
        trial._position = dataclasses.replace(self._position)
        given = None if jit is None else Jit.of(jit, self._replicas.count, self._replicas.as_one)
        trial.programs = self.programs.anew(given)
        kept = self._session.settings if self._session and folder is not None else None
        trial._session = trial._open_session(kept and dataclasses.replace(kept, directory=folder))
        trial._fit = Fit(
            trial.task, trial.programs, trial._position, trial._session, self._replicas
        )
        with state.untouched(self.task):
            yield trial

    def prepare(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Any = None,
    ) -> Source:
        """Opens data to train on, as `fit` does, and makes all variables; close it after use."""
        how = {"batch_size": batch_size, "shuffle": shuffle, "class_weight": class_weight}
        source = self._open("train", x, y, sample_weight, join=self.accumulate, **how)
        try:
            self._building.build("train", source, y, batch_size)
            self.programs.computing.build()
        except BaseException:
            source.close()
            raise
        return source

    # How the pieces come together.

    def _open_session(self, checkpoint: Any) -> Session | None:
        if checkpoint is None:
            return None
        given = Checkpoint.of(checkpoint)
        return Session(given, self.task, self.programs, self._same, self._replicas)

    @contextmanager
    def _pass(
        self, verb: str, x: Any, y: Any, batch_size: int | None, sample_weight: Any
    ) -> Iterator[Source]:
        """Data to go through once, with everything built and restored for it."""
        source = self._open(verb, x, y, sample_weight, batch_size=batch_size)
        try:
            if source.infinite:
                raise ValueError(f"x never ends, and so would {verb}; pass x.take(n).")
            self._building.build(verb, source, y, batch_size)
            if self._session is not None:
                self._session.preview()
            yield source
        finally:
            source.close()

    def _open(self, verb: str, x: Any, y: Any, sample_weight: Any, **how: Any) -> Source:
        arguments.check_eager()
        own = self.programs.steps.own(verb)
        return open_source(x, y, sample_weight, seed=self.seed, own=own, **how)
