"""Programs: the compiled loops of a trainer, and how each verb is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from absl import logging

from trainer import arguments, state
from trainer.compiling import chooser, guard, record, trial
from trainer.compiling.choice import SAID, Choice
from trainer.compiling.settings import Jit
from trainer.data.segment import Segment
from trainer.distribution.replicas import Replicas
from trainer.instruments.base import Instrument
from trainer.instruments.readout import Readout
from trainer.keeper import Keeper
from trainer.loop import Loop
from trainer.precision.computing import Computing
from trainer.precision.policy import Precision
from trainer.steps import Steps
from trainer.task import Task

_CAPACITY = {"train": 2048, "evaluate": 512, "predict": 16}  # steps of one call at most
_READ = 64  # steps of one call at most where each is read by instruments
_SHAPES = 4  # of batches that XLA compiles before "auto" leaves the rest to TensorFlow


class Programs:
    """Compiles a task's verbs ("train", "evaluate", "predict"), each loop once.

    Args:
        task: whose steps are compiled.
        jit: how, and how often.
        seed: of the random layers.
        accumulate: parts of a training step.
        gradient_norm: whether steps report it.
        replicas: who runs the steps.
        precision: what layers compute in; None: as each says itself.

    Attributes:
        task: whose steps are compiled.
        replicas: who runs the steps.
        counter: the number of updates made, an int64 variable that training advances.
        stop: a bool variable: True ends a running call before its next step.
        choices: verb -> the `Choice` made for it.
        steps: what is compiled.
        divides: whether a batch that does not fit may be taken in more parts.
        guard: counts what was traced and compiled.
        computing: what layers compute in, and the loss scales.
    """

    def __init__(
        self,
        task: Task,
        *,
        jit: Jit,
        seed: int,
        accumulate: int,
        gradient_norm: bool,
        replicas: Replicas,
        precision: Precision | None = None,
    ) -> None:
        self.counter = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.stop = tf.Variable(False, trainable=False, name="stop")
        self.choices: dict[str, Choice] = {}
        self.divides = True
        self.guard = guard.Guard(jit.programs, jit.strict, self.warn)
        self.computing = Computing(task, precision, replicas.scope, self.warn)
        self.steps = Steps(
            task,
            self.computing,
            replicas,
            stop=self.stop,
            seed=seed,
            accumulate=accumulate,
            gradient_norm=gradient_norm,
            warn=self.warn,
        )
        self._task = task
        self._jit = jit
        self.replicas = replicas
        self._loops: dict[Any, Loop] = {}
        self._readouts: dict[tuple[Instrument, ...], Readout] = {}
        self._ahead: dict[str, int | None] = {}  # the steps that a choice was made for
        self._keys: dict[str, str] = {}  # verb -> fingerprint of its program
        self._shapes: dict[str, list[dict[str, str]]] = {}  # what "auto" had XLA compile
        self._said: set[str] = set()
        self.trying = False

    def loop(
        self,
        verb: str,
        fetch: Callable[..., Any],
        segment: Segment,
        steps: int | None,
        say: Callable[[str], None] | None = None,
        instruments: tuple[Instrument, ...] = (),
    ) -> Loop:
        """The loop that runs a segment's steps.

        Args:
            verb: "train", "evaluate" or "predict".
            fetch: reads a step's batch from the segment's args.
            segment: of which the shapes count.
            steps: how many steps are ahead, None when it is not known.
            say: told in one line what was decided.
            instruments: that read every step of it; its outputs are rows for `readout` to split.
        """
        choice = self.choices.get(verb)
        if choice is None or not (choice.settled or steps == self._ahead[verb]):
            new = self._choose(verb, fetch, segment, steps)
            if say is not None and (choice is None or new.mode != choice.mode):
                say(f"compiled as {SAID[new.mode]}: {new.reason}")
            self._ahead[verb], self.choices[verb], choice = steps, new, new
        auto = self._jit.mode(verb) == "auto"
        most = self.steps.rows[verb] = max(segment.rows, self.steps.rows.get(verb, 0))
        # The ragged end of an epoch is one step: not worth a program of its own under XLA.
        short = auto and segment.rows < most
        if auto and not short and choice.mode != "graph":
            choice = self._within_few_shapes(verb, choice, segment)
        mode = "graph" if short else choice.mode
        loop = self.compiled(verb, fetch, segment.rows, mode, instruments)
        graph = loop.trace(segment.args)
        if verb == "train":
            self.computing.look(graph, loop.mode)
        return loop

    def plan(
        self, verb: str, fetch: Callable[..., Any], segment: Segment, steps: int | None
    ) -> Choice:
        """Decides for a run of `steps` steps, and drops the decision made before.

        Raises:
            TypeError, ValueError: `steps` is neither None nor a whole number from 1 on.
        """
        if steps is not None:
            arguments.whole("steps", steps, at_least=1)
        self.choices[verb] = self._choose(verb, fetch, segment, steps)
        self._ahead[verb] = steps
        return self.choices[verb]

    def anew(self, jit: Jit | None = None) -> Programs:
        """Programs of the same task with nothing compiled yet, whose own variables stand alike."""
        new = Programs(
            self._task,
            jit=jit or self._jit,
            seed=self.steps.seed,
            accumulate=self.steps.parts,
            gradient_norm=self.steps.gradient_norm,
            replicas=self.replicas,
            precision=self.computing.precision,
        )
        if self.computing.scalers.variables:
            new.computing.build()
        for name, variable in new.variables.items():
            variable.assign(self.variables[name].read_value())
        return new

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """What a checkpoint keeps beside the task's own, by name."""
        return {"step": self.counter, **self.computing.scalers.variables}

    @property
    def alone(self) -> bool:
        """Whether one replica trains by itself."""
        return self.replicas.count == 1

    @property
    def loops(self) -> list[Loop]:
        """Every loop made so far."""
        return list(self._loops.values())

    def memory(self) -> dict[str, Any]:
        """The choices made, for a checkpoint: a resumed run compiles everything the same way."""
        choices = {
            verb: {
                "choice": choice.entry(),
                "rows": self.steps.rows.get(verb, 0),
                "ahead": self._ahead.get(verb),
                "shapes": self._shapes.get(verb, []),
            }
            for verb, choice in self.choices.items()
        }
        return {"choices": choices, "parts": self.steps.parts}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Puts back what `memory` gave, unless `jit` now asks for something else."""
        self.steps.parts = memory["parts"]
        for verb, entry in memory["choices"].items():
            choice = Choice.of(entry["choice"])
            asked = self._jit.mode(verb)
            if asked in ("auto", choice.mode):
                self.choices[verb] = choice
                self.steps.rows[verb], self._ahead[verb] = entry["rows"], entry["ahead"]
                self._shapes[verb] = list(entry["shapes"])
            else:
                self.warn(
                    f"jit={asked!r}, and the checkpoint's run compiled {verb} as "
                    f"{SAID[choice.mode]}: the values will differ in their last bits from those "
                    "of an uninterrupted run"
                )

    def readout(self, instruments: tuple[Instrument, ...]) -> Readout:
        """What the loop with these instruments is read by.

        Raises:
            ValueError: several processes train together.
        """
        if self.replicas.workers > 1:
            raise ValueError(
                f"{instruments[0]}: instruments read the steps of one process, and "
                f"{self.replicas.workers} train together; leave the callback that wants it out."
            )
        if instruments not in self._readouts:
            self._readouts[instruments] = Readout(instruments, self._name_of)
        return self._readouts[instruments]

    def _name_of(self, variable: Any) -> str:
        """A variable's path in the model, or its own where it is Keras's."""
        if state.is_keras(variable):
            return state.name_of(variable)
        root = arguments.weights_root(self._task)
        wanted = state.as_tf(variable)
        paths = (path for path, v in state.variables(root).items() if v is wanted)
        return next(paths, None) or state.name_of(variable)

    def compiled(
        self,
        verb: str,
        fetch: Callable[..., Any],
        rows: int,
        mode: str,
        instruments: tuple[Instrument, ...] = (),
    ) -> Loop:
        """The loop of a verb for batches of so many rows, made once."""
        parts = self.steps.parts if verb == "train" else 1
        key = (verb, fetch, rows, mode, parts, instruments)
        # Replicas exchange sums amid the step, so it is what lies between that XLA compiles.
        between = mode == "step" and self.replicas.count > 1
        if key not in self._loops:
            self._loops[key] = Loop(
                self.steps.of(
                    verb,
                    readout=self.readout(instruments) if instruments else None,
                    by_xla=between,
                ),
                fetch,
                rows,
                counter=self.counter if verb == "train" else None,
                stop=self.stop,
                mode="graph" if between else mode,
                capacity=_READ if instruments else _CAPACITY[verb],
                owner=Keeper(self, verb, fetch, rows, mode, parts, instruments),
            )
        return self._loops[key]

    def refused(self, verb: str, reason: str) -> bool:
        """Told that XLA does not compile a verb; whether it goes on without, after saying why."""
        if self.trying or self._jit.mode(verb) != "auto":
            return False
        self.choices[verb] = Choice("graph", f"XLA does not compile it: {reason}")
        self.warn(f"{verb}: XLA does not compile it: {reason}; compiled as {SAID['graph']} instead")
        return True

    def too_large(self, verb: str, rows: int) -> bool:
        """Told that a batch does not fit into memory; whether it is now taken in smaller parts."""
        if verb != "train" or not self.divides or self.steps.parts >= rows:
            return False
        if not self._task.divisible:
            self.warn(
                f"a batch of {rows} rows does not fit into memory, and parts of it would give "
                "another update (reduction='sum', or rows compared with others); lower batch_size"
            )
            return False
        parts = self.steps.parts = min(2 * self.steps.parts, rows)
        self.warn(
            f"a batch of {rows} rows does not fit into memory: it is taken in {parts} parts "
            f"as by accumulate={parts}: it gives the same update where rows are independent "
            "(BatchNormalization's statistics and candidates within a batch are each part's own)"
        )
        if key := self._keys.get(verb):
            self._keep(record.remember_parts(key, parts))
        return True

    def snapshot(self) -> Callable[[], None]:
        """Copies everything that a step may change to the host; gives what puts it back."""
        variables = [*state.variables(self._task).values(), *self.variables.values()]
        values = [v.numpy() for v in variables]

        def put_back() -> None:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

        return put_back

    def _choose(
        self, verb: str, fetch: Callable[..., Any], segment: Segment, steps: int | None
    ) -> Choice:
        asked = self._jit.mode(verb)
        if asked == "auto" and self.replicas.as_one:
            return Choice("graph", "a TPU compiles what its replicas do by itself")
        if asked == "auto" and self.replicas.count > 1:
            return Choice("graph", "several replicas add their gradients outside of XLA")
        mode = "graph" if asked == "auto" else asked
        graph = self.compiled(verb, fetch, segment.rows, mode).trace(segment.args)
        key = self._keys[verb] = f"{verb}-{record.fingerprint(graph)}"
        if verb == "train":
            self.steps.parts = max(self.steps.parts, min(record.recall_parts(key), segment.rows))
        if asked != "auto":
            return Choice(asked, "as asked by jit=")

        choice = self._tried(key, verb, fetch, segment, steps)
        for key in [k for k in self._loops if k[0] == verb and k[3] not in (choice.mode, "graph")]:
            del self._loops[key]  # the memory of what lost
        return choice

    def _tried(
        self, key: str, verb: str, fetch: Callable[..., Any], segment: Segment, steps: int | None
    ) -> Choice:
        """What "auto" chooses; a batch that does not fit while it is tried is taken in parts."""

        def run_in(mode: str) -> Callable[[int], None]:
            loop = self.compiled(verb, fetch, segment.rows, mode)
            loop.trace(segment.args)

            def run(n: int) -> None:
                if loop(segment.args, 0, n).steps < n:
                    raise trial.Stopped

            return run

        most = min(segment.steps, _CAPACITY[verb])
        while True:
            graph = self.compiled(verb, fetch, segment.rows, "graph").trace(segment.args)
            try:
                choice, problem = chooser.choose(key, graph, steps, run_in, most, self._scratch)
            except tf.errors.ResourceExhaustedError:
                if not self.too_large(verb, segment.rows):
                    raise
            else:
                self._keep(problem)
                return choice

    def _within_few_shapes(self, verb: str, choice: Choice, segment: Segment) -> Choice:
        """The choice, or the graph once "auto" would have XLA compile too many shapes."""
        shapes, now = self._shapes.setdefault(verb, []), guard.signature_of(segment.args)
        if now not in shapes:
            shapes.append(now)
        if len(shapes) <= _SHAPES:
            return choice
        self.choices[verb] = Choice("graph", guard.many_shapes(shapes))
        self.warn(f"{verb} goes on as {SAID['graph']}: {self.choices[verb].reason}")
        return self.choices[verb]

    @contextmanager
    def _scratch(self) -> Iterator[None]:
        """While it is open, steps may be tried on the real state, which is put back."""
        self.trying = True
        try:
            with state.untouched((self._task, self.variables)):
                yield
        finally:
            self.trying = False

    def _keep(self, problem: str | None) -> None:
        if problem is not None:
            self.warn(problem)

    def warn(self, message: str) -> None:
        """Warns of something once."""
        if message not in self._said:
            self._said.add(message)
            logging.warning(message)
