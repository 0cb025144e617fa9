"""doctor: looks a task, its data and its settings over in seconds, before a long run."""

from __future__ import annotations

import functools
import logging
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trainer import probabilities, state
from trainer.data.segment import Source
from trainer.inspect import data_checks, model_checks, training_checks
from trainer.inspect.findings import Diagnosis, Finding
from trainer.inspect.patient import Minimized, Patient
from trainer.objective import by_name
from trainer.supervised import Supervised, unpack

if TYPE_CHECKING:
    from trainer.trainer import Trainer

CHECKS = (
    "data fits the loss",
    "finite data",
    "shuffle",
    "initial loss",
    "modes",
    "examples apart",
    "gradients",
    "overfits a batch",
    "precision",
    "input keeps up",
)
_ASKED = "left out, as asked"


def doctor(
    trainer: Trainer,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = True,
    sample_weight: Any = None,
    class_weight: Any = None,
    skip: Collection[str] = (),
    verbose: int = 1,
) -> Diagnosis:
    """Examines a trainer and its data; the trainer's state is afterwards what it was before.

    It looks at a batch or two, runs a few steps eagerly, and trains some hundred steps on one
    batch: seconds for models whose step takes milliseconds. Checks, in order:

    - "data fits the loss": targets are what the loss takes, and outputs too (not judged for a step
      of one's own).
    - "finite data": no NaN, no infinity in the first batches.
    - "shuffle": two epochs come in different orders.
    - "initial loss": not far above that of a model that knows nothing (even odds over the classes,
      or the mean target).
    - "modes": layers that train otherwise than they infer are told which, and inference depends on
      nothing but the example.
    - "examples apart": no example's loss depends on another, outside of layers that normalize over
      the batch, which are named.
    - "gradients": each trainable variable has a finite gradient that is not zero.
    - "overfits a batch": its loss can be brought down.
    - "precision": no product is left in float32 where another precision was asked for, of the
      trainer or of single layers.
    - "input keeps up": batches come as fast as steps are made.

    Args:
        trainer: whose task is examined.
        x: inputs, or a stream, as for `fit`.
        y: targets, for arrays.
        batch_size: as for `fit`.
        shuffle: as for `fit`.
        sample_weight: as for `fit`.
        class_weight: as for `fit`.
        skip: names of checks to leave out; they are not run.
        verbose: 1 prints the table.

    Returns:
        The findings; `healthy` when nothing failed or warned.

    Raises:
        TypeError: `trainer` is none, or `x` is an iterator, which could be read only once.
        ValueError: `skip` names a check that there is not, or "data fits the loss" where it does
            not, so that nothing can be examined.

    Example:
        >>> import numpy as np, tensorflow as tf
        >>> from trainer import Trainer
        >>> class Line(tf.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.w = tf.Variable([[0.0]])
        ...     def __call__(self, x):
        ...         return x @ self.w
        >>> x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
        >>> trainer = Trainer(Line(), loss="mse", optimizer="sgd")
        >>> doctor(trainer, x, 3 * x, verbose=0).blamed
        []
    """
    if not hasattr(trainer, "scratch"):
        raise TypeError(
            f"doctor takes a Trainer, not {type(trainer).__name__}: it examines a loss and an "
            "optimizer, too. Pass Trainer(model, loss=..., optimizer=...) or Trainer(task)."
        )
    if isinstance(x, Iterator):
        raise TypeError(
            "x is an iterator, which an examination would use up; pass a function that makes it."
        )
    if unknown := [name for name in skip if name not in CHECKS]:
        raise ValueError(f"skip={list(skip)!r}: {unknown[0]!r} is no check; they are {CHECKS}.")
    begun = time.perf_counter()
    data = {"sample_weight": sample_weight, "class_weight": class_weight}
    with trainer.scratch(jit=False) as trial:
        try:
            with _warnings() as said:
                source = trial.prepare(x, y, batch_size=batch_size, shuffle=shuffle, **data)
        except (ValueError, TypeError) as error:
            if CHECKS[0] in skip:
                raise
            findings = [Finding(CHECKS[0], "fail", str(error))]
            findings += [
                Finding(name, "skip", _ASKED if name in skip else "the data does not fit")
                for name in CHECKS[1:]
            ]
        else:
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", UserWarning)
                    findings = _Examination(trial, source, said, trainer.step).findings(skip)
            finally:
                source.close()
            said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
            if said and findings[0].text != _ASKED and findings[0].mark in ("pass", "skip"):
                findings[0] = Finding(CHECKS[0], "warn", "; ".join(dict.fromkeys(said)))
    diagnosis = Diagnosis(findings, time.perf_counter() - begun)
    if verbose:
        diagnosis.show()
    return diagnosis


class _Examination:
    """The checks in their order, on a scratch trainer; what several of them read is made once."""

    def __init__(self, trial: Any, source: Source, said: list[str], trained: int) -> None:
        self._source, self._said, self._trained = source, said, trained
        self._task = trial.task
        self._patient = Patient(trial.task, trial.programs, next(data_checks.draw(source)))
        self._found: dict[str, Finding] = {}

    def findings(self, skip: Collection[str]) -> list[Finding]:
        """Of all checks; those that are left out are not run, nor those after a hopeless one."""
        checks: tuple[Callable[[], Finding], ...] = (
            self._fits,
            lambda: data_checks.finite(self._source),
            lambda: data_checks.order(self._source),
            lambda: self._untouched(model_checks.initial_loss, self._trained),
            lambda: self._untouched(model_checks.modes),
            lambda: self._untouched(model_checks.independent),
            self._gradients,
            self._overfits,
            lambda: training_checks.precise(self._patient, self._training.graph),
            lambda: data_checks.pace(self._source, self._training.step_seconds),
        )
        for name, check in zip(CHECKS, checks, strict=True):
            if name in skip:
                self._found[name] = Finding(name, "skip", _ASKED)
            elif reason := self._hopeless(name):
                self._found[name] = Finding(name, "skip", reason)
            else:
                self._found[name] = check()
        return list(self._found.values())

    def _hopeless(self, name: str) -> str:
        """Why a check would only say again what an earlier one said; "" where it would not."""
        data, loss = self._found.get("finite data"), self._found.get("initial loss")
        if data is not None and data.mark == "fail" and name != "shuffle":
            return "the data is not finite"
        if loss is not None and loss.text.startswith("the loss is"):
            return "the loss is not finite"
        return ""

    def _untouched(self, check: Callable[..., Finding], *args: Any) -> Finding:
        with state.untouched(self._task):
            return check(self._patient, *args)

    @functools.cached_property
    def _minimized(self) -> list[Minimized]:
        """What the first step minimizes, before any update."""
        with state.untouched(self._task):
            return self._patient.minimized(self._patient.batch)

    @functools.cached_property
    def _training(self) -> training_checks.Trial:
        """Training on one batch, which leaves the scratch copy trained."""
        _ = self._minimized
        return training_checks.train_on_one(self._patient)

    def _fits(self) -> Finding:
        """Whether targets and outputs are what the loss takes."""
        task, said = self._task, self._said
        if isinstance(task, Supervised):
            bound = task.objective.outputs
            outputs = task.call(unpack(self._patient.batch)[0], training=False)
            named = by_name(outputs, [output.name for output in bound])
            with _warnings() as again:
                for output in bound:
                    probabilities.check_loss(output.loss, named[output.name], output.name)
            said = [*said, *again]
        if said:
            return Finding(CHECKS[0], "warn", "; ".join(dict.fromkeys(said)))
        if not isinstance(task, Supervised):
            return Finding(CHECKS[0], "skip", "what a step of one's own takes is not known")
        return Finding(CHECKS[0], "pass", "targets and outputs are what the loss takes")

    def _gradients(self) -> Finding:
        before, seen = model_checks.silent(self._patient, self._minimized)
        _ = self._training
        with state.untouched(self._task):
            minimized = self._patient.minimized(self._patient.batch)
        after, _ = model_checks.silent(self._patient, minimized)
        found = model_checks.gradients(self._patient, before, after)
        left_out = model_checks.forgotten(self._patient, seen)
        if found.mark != "pass" or not left_out:
            return found
        return Finding(
            "gradients",
            "warn",
            f"no minimize is handed {left_out}, which are trainable",
            "hand them to ctx.minimize, or make them trainable=False",
        )

    def _overfits(self) -> Finding:
        name = "overfits a batch"
        if self._found["gradients"].mark == "fail":
            return Finding(name, "skip", "some variables do not learn")
        if self._found["examples apart"].mark == "fail":
            return Finding(name, "skip", "the loss is not a sum over examples")
        return training_checks.overfits(self._patient, self._training, len(self._minimized))


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Keeps what is warned of by the house meanwhile, in place of printing it."""
    logger, keeper = logging.getLogger("absl"), _Keeper()
    handlers, propagate = logger.handlers[:], logger.propagate
    logger.handlers, logger.propagate = [keeper], False
    try:
        yield keeper.said
    finally:
        logger.handlers, logger.propagate = handlers, propagate
