"""Programs: the compiled loops of a trainer, and how each verb is compiled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import tensorflow as tf
from absl import logging

from trainer import arguments, plan, state
from trainer.context import StepContext
from trainer.data.segment import Segment
from trainer.distribute import Replica, Replicas
from trainer.loop import MODES, Columns, Loop, StepOutput
from trainer.random import Seeds, fold, handed
from trainer.task import Task

_CAPACITY = {"train": 2048, "evaluate": 512, "predict": 16}  # steps of one call at most
_EVALUATE = -2  # the stream of seeds for evaluation, beside those of the steps
_SAID = {
    "graph": "a TensorFlow graph",
    "step": "an XLA step in a TensorFlow loop",
    "loop": "one XLA loop",
}


class Programs:
    """Compiles a task's verbs ("train", "evaluate", "predict"), each loop once.

    Args:
        task: whose steps are compiled.
        jit: "auto", or the mode for every verb: "graph", "step", "loop".
        seed: of the random layers.
        accumulate: parts of a training step.
        gradient_norm: whether steps report it.
        replicas: who runs the steps.

    Attributes:
        counter: the number of updates made, an int64 variable that training advances.
        stop: a bool variable: True ends a running call before its next step.
        choices: verb -> the `Choice` made for it.
    """

    def __init__(
        self,
        task: Task,
        *,
        jit: str,
        seed: int,
        accumulate: int,
        gradient_norm: bool,
        replicas: Replicas,
    ) -> None:
        self.counter = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.stop = tf.Variable(False, trainable=False, name="stop")
        self.choices: dict[str, plan.Choice] = {}
        self._task = task
        self._jit = jit
        self._seed = seed
        self._parts = accumulate
        self._gradient_norm = gradient_norm
        self._replicas = replicas
        self._loops: dict[Any, Loop] = {}
        self._rows: dict[str, int] = {}  # the most rows of a batch seen
        self._ahead: dict[str, int | None] = {}  # the steps that a choice was made for
        self._said: set[str] = set()
        self._measuring = False

    def loop(
        self,
        verb: str,
        fetch: Callable[..., Any],
        segment: Segment,
        steps: int | None,
        say: Callable[[str], None] | None = None,
    ) -> Loop:
        """The loop that runs a segment's steps.

        Args:
            verb: "train", "evaluate" or "predict".
            fetch: reads a step's batch from the segment's args.
            segment: of which the shapes count.
            steps: how many steps are ahead, None when it is not known.
            say: told in one line what was decided.
        """
        choice = self.choices.get(verb)
        if choice is None or not (choice.settled or steps == self._ahead[verb]):
            self._ahead[verb] = steps
            new = self._choose(verb, fetch, segment, steps)
            if say is not None and (choice is None or new.mode != choice.mode):
                say(f"compiled as {_SAID[new.mode]}: {new.reason}")
            self.choices[verb] = choice = new
        most = self._rows[verb] = max(segment.rows, self._rows.get(verb, 0))
        # The ragged end of an epoch is one step: not worth a program of its own under XLA.
        short = self._jit == "auto" and segment.rows < most
        loop = self._compiled(verb, fetch, segment.rows, "graph" if short else choice.mode)
        loop.trace(segment.args)
        return loop

    def anew(self, jit: str | None = None) -> Programs:
        """Programs of the same task with nothing compiled yet, and a counter that stands alike."""
        new = Programs(
            self._task,
            jit=jit or self._jit,
            seed=self._seed,
            accumulate=self._parts,
            gradient_norm=self._gradient_norm,
            replicas=self._replicas,
        )
        new.counter.assign(self.counter)
        return new

    @property
    def loops(self) -> list[Loop]:
        """Every loop made so far."""
        return list(self._loops.values())

    def memory(self) -> dict[str, Any]:
        """The choices made, for a checkpoint: a resumed run compiles everything the same way."""
        return {
            verb: {
                "choice": choice._asdict(),
                "rows": self._rows.get(verb, 0),
                "ahead": self._ahead.get(verb),
            }
            for verb, choice in self.choices.items()
        }

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Puts back what `memory` gave, unless `jit` now asks for something else."""
        for verb, entry in memory.items():
            choice = plan.Choice(**entry["choice"])
            if self._jit in ("auto", choice.mode):
                self.choices[verb] = choice
                self._rows[verb], self._ahead[verb] = entry["rows"], entry["ahead"]
            else:
                self.warn(
                    f"jit={self._jit!r}, and the checkpoint's run compiled {verb} as "
                    f"{_SAID[choice.mode]}: the values will differ in their last bits from those "
                    "of an uninterrupted run"
                )

    def _compiled(self, verb: str, fetch: Callable[..., Any], rows: int, mode: str) -> Loop:
        key = (verb, fetch, rows, mode)
        if key not in self._loops:
            auto = self._jit == "auto" and mode != "graph"
            self._loops[key] = Loop(
                self.step(verb),
                fetch,
                rows,
                counter=self.counter if verb == "train" else None,
                stop=self.stop,
                mode=mode,
                capacity=_CAPACITY[verb],
                give_up=partial(self._give_up, verb, fetch, rows) if auto else None,
            )
        return self._loops[key]

    def _give_up(self, verb: str, fetch: Callable[..., Any], rows: int, error: Exception) -> Loop:
        """Goes on without XLA, and says why."""
        if self._measuring:
            raise error
        why = f"XLA does not compile it ({plan.first_line(error)})"
        self.warn(f"{verb}: {why}; compiled as {_SAID['graph']} instead")
        self.choices[verb] = plan.Choice("graph", why)
        return self._compiled(verb, fetch, rows, "graph")

    def _choose(
        self, verb: str, fetch: Callable[..., Any], segment: Segment, steps: int | None
    ) -> plan.Choice:
        if self._jit != "auto":
            return plan.Choice(self._jit, "as asked by jit=")
        if self._replicas.count > 1:
            return plan.Choice("graph", "several replicas add their gradients outside of XLA")
        graph = self._compiled(verb, fetch, segment.rows, "graph").trace(segment.args)
        accelerators = [d for d in tf.config.list_logical_devices() if d.device_type != "CPU"]
        choice = plan.decide(plan.cost_of(graph), steps, on_cpu=not accelerators)
        key = plan.fingerprint(graph)
        choice = choice or plan.recall(key)
        if choice is None:
            choice = self._measure(verb, fetch, segment)
            if (problem := plan.remember(key, choice)) is not None:
                self.warn(problem)
        return choice

    def _measure(self, verb: str, fetch: Callable[..., Any], segment: Segment) -> plan.Choice:
        """Tries every mode on the real state and puts the state back."""

        def run_in(mode: str) -> Callable[[int], Columns]:
            loop = self._compiled(verb, fetch, segment.rows, mode)
            loop.trace(segment.args)
            return lambda n: loop(segment.args, 0, n)

        self._measuring = True
        try:
            with state.untouched((self._task, self.counter)):
                runs = {mode: run_in(mode) for mode in MODES}
                return plan.measure(runs, min(segment.steps, _CAPACITY[verb]))
        finally:
            self._measuring = False

    def step(
        self, verb: str, context: Callable[..., StepContext] = StepContext
    ) -> Callable[[Any, tf.Tensor], StepOutput]:
        """What one step of a verb is, as a function of the batch and the step's number.

        It may be called eagerly too. `context` makes what the step is handed: instruments hand it
        one of their own.
        """
        task = self._task
        seed = self._seed if verb == "train" else fold(self._seed, _EVALUATE)
        running = threading.local()  # each replica is traced by a thread of its own

        def one(batch: Any, number: tf.Tensor, replica: Replica) -> StepOutput:
            running.seeds = Seeds(seed, number, replica.index)
            ctx = context(
                running.seeds,
                parts=self._parts,
                gradient_norm=self._gradient_norm,
                label=lambda optimizer: arguments.label(task, optimizer),
                warn=self.warn,
                replica=replica,
            )
            if verb == "predict":
                return StepOutput({}, {}, task.predict_step(batch, ctx))
            sums = task.step(batch, ctx) if verb == "train" else task.eval_step(batch, ctx)
            return StepOutput(arguments.check_sums(sums, task, verb), ctx.scalars, ())

        def draw() -> tf.Tensor:
            return running.seeds.next()

        step = self._replicas.spread_step(one, self.stop)

        def run(batch: Any, number: tf.Tensor) -> StepOutput:
            with handed(state.modules(task), draw):
                return step(batch, number)

        return run

    def warn(self, message: str) -> None:
        """Warns of something once."""
        if message not in self._said:
            self._said.add(message)
            logging.warning(message)
