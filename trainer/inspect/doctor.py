"""doctor: looks a task, its data and its settings over in seconds, before a long run."""

from __future__ import annotations

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
from trainer.inspect.patient import Patient
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

    - "data fits the loss": targets are what the loss takes, and outputs too.
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
    - "precision": no product is left in float32 where another precision was asked for.
    - "input keeps up": batches come as fast as steps are made.

    Args:
        trainer: whose task is examined.
        x: inputs, or a stream, as for `fit`.
        y: targets, for arrays.
        batch_size: as for `fit`.
        shuffle: as for `fit`.
        sample_weight: as for `fit`.
        class_weight: as for `fit`.
        skip: names of checks to leave out.
        verbose: 1 prints the table.

    Returns:
        The findings; `healthy` when nothing failed or warned.

    Raises:
        TypeError: `trainer` is none, or `x` is an iterator, which could be read only once.
        ValueError: `skip` names a check that there is not.

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
            findings = [Finding(CHECKS[0], "fail", str(error))]
            findings += [Finding(name, "skip", "the data does not fit") for name in CHECKS[1:]]
        else:
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", UserWarning)
                    findings = _examine(trial, source, said, trainer.step)
            finally:
                source.close()
            said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
            if said and findings[0].mark == "pass":
                findings[0] = Finding(CHECKS[0], "warn", "; ".join(dict.fromkeys(said)))
    findings = [
        Finding(f.check, "skip", "left out, as asked") if f.check in skip else f for f in findings
    ]
    diagnosis = Diagnosis(findings, time.perf_counter() - begun)
    if verbose:
        diagnosis.show()
    return diagnosis


def _examine(trial: Any, source: Source, said: list[str], trained: int) -> list[Finding]:
    """All checks, in order; those after a broken one are not judged where they would follow."""
    task = trial.task
    batch = next(data_checks.draw(source))
    patient = Patient(task, trial.programs, batch)
    found = [_fits(patient, said), data_checks.finite(source), data_checks.order(source)]
    if found[1].mark == "fail":
        left = [Finding(name, "skip", "the data is not finite") for name in CHECKS[3:]]
        return [*found, *left]

    def untouched(check: Callable[..., Finding], *args: Any) -> Finding:
        with state.untouched(task):
            return check(patient, *args)

    found.append(untouched(model_checks.initial_loss, trained))
    if found[-1].text.startswith("the loss is"):
        left = [Finding(name, "skip", "the loss is not finite") for name in CHECKS[4:]]
        return [*found, *left]
    found.append(untouched(model_checks.modes))
    found.append(apart := untouched(model_checks.independent))
    with state.untouched(task):
        minimized = patient.minimized(batch)
    before, seen = model_checks.silent(patient, minimized)
    trained_on = training_checks.train_on_one(patient)
    with state.untouched(task):
        after, _ = model_checks.silent(patient, patient.minimized(batch))
    gradients = model_checks.gradients(patient, before, after)
    if gradients.mark == "pass" and (left_out := model_checks.forgotten(patient, seen)):
        gradients = Finding(
            "gradients",
            "warn",
            f"no minimize is handed {left_out}, which are trainable",
            "hand them to ctx.minimize, or make them trainable=False",
        )
    found.append(gradients)
    if gradients.mark == "fail":
        found.append(Finding("overfits a batch", "skip", "some variables do not learn"))
    elif apart.mark == "fail":
        found.append(Finding("overfits a batch", "skip", "the loss is not a sum over examples"))
    else:
        found.append(training_checks.overfits(patient, trained_on, len(minimized)))
    found.append(training_checks.precise(patient, trained_on.graph))
    found.append(data_checks.pace(source, trained_on.step_seconds))
    return found


def _fits(patient: Patient, said: list[str]) -> Finding:
    """Whether targets and outputs are what the loss takes."""
    task = patient.task
    if isinstance(task, Supervised):
        outputs = task.call(unpack(patient.batch)[0], training=False)
        single = not isinstance(outputs, (dict, list, tuple))
        with _warnings() as again:
            for output in task.objective.outputs if single else ():
                probabilities.check_loss(output.loss, outputs, output.name)
        said = [*said, *again]
    if said:
        return Finding(CHECKS[0], "warn", "; ".join(dict.fromkeys(said)))
    return Finding(CHECKS[0], "pass", "targets and outputs are what the loss takes")


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
