"""Reads what a user passed to Trainer and fit, and says clearly what is wrong with it."""

from __future__ import annotations

import pathlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from trainer import names
from trainer.callbacks.triggers import Every, Trigger
from trainer.objective import Objective
from trainer.sums import Sums
from trainer.supervised import Supervised
from trainer.task import Task


def whole(argument: str, value: Any, *, at_least: int) -> int:
    """A whole number of at least so much."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(
            f"{argument}={value!r} is a {type(value).__name__}; it must be a whole number from "
            f"{at_least} on."
        )
    if int(value) < at_least:
        raise ValueError(f"{argument}={value!r}; it must be a whole number from {at_least} on.")
    return int(value)


def task(model_or_task: Any, given: Mapping[str, Any], accumulate: int) -> Task:
    """The task itself, or `Supervised` training of the model."""
    if isinstance(model_or_task, type):
        raise TypeError(
            f"{model_or_task.__name__} is a class; pass an instance: {model_or_task.__name__}(...)."
        )
    if isinstance(model_or_task, Task):
        if surplus := [name for name, value in given.items() if value is not None]:
            raise ValueError(
                f"{', '.join(surplus)} given beside a Task: a task's own step says what is "
                "computed, so give them to the task."
            )
        if not hasattr(model_or_task, "metrics"):
            raise TypeError(
                f"{type(model_or_task).__name__}.__init__ has not called Task's: let it begin "
                "with super().__init__()."
            )
        return model_or_task
    if not callable(model_or_task):
        raise TypeError(
            f"{model_or_task!r} is neither a Task nor a model: a model is called as model(x). "
            "Pass a tf.Module with __call__, a Keras model, or a Task."
        )
    objective = Objective(
        given["loss"], given["loss_weights"], given["metrics"], given["weighted_metrics"]
    )
    return Supervised(model_or_task, objective, optimizer(given["optimizer"]), accumulate)


def weights_root(given: Task) -> Any:
    """What weights are named from: the model of supervised training, else the task."""
    return given.model if isinstance(given, Supervised) else given


def optimizer(given: Any) -> Any:
    """An optimizer, from itself or its name."""
    if given is None:
        return None
    found = names.optimizer(given)
    if isinstance(found, type):
        raise TypeError(f"optimizer={found.__name__} is a class; pass {found.__name__}(...).")
    if not callable(getattr(found, "apply", None)):
        raise TypeError(
            f"optimizer={given!r} has no apply(gradients, variables); pass one of ours or of "
            "Keras, a name such as 'adam', or an object that has it."
        )
    return found


def say(verbose: Any, chief: bool) -> Callable[[str], None]:
    """Where `fit` puts its messages: print, or nowhere; of several workers the chief speaks."""
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"verbose={verbose!r}; it is 'auto', 0, 1 or 2.")
    return print if verbose and chief else lambda text: None


def asked(steps: Any, epochs: Any) -> dict[str, int]:
    """What a call of fit is asked for: `{"steps": n}` or `{"epochs": n}`."""
    if steps is not None and epochs is not None:
        raise ValueError(f"steps={steps!r} and epochs={epochs!r}: pass one of the two.")
    if steps is not None:
        return {"steps": whole("steps", steps, at_least=1)}
    return {"epochs": whole("epochs", 1 if epochs is None else epochs, at_least=1)}


def validation_trigger(given: Any) -> Trigger:
    """When to validate: every so many epochs, or as a trigger says."""
    if hasattr(given, "next") and hasattr(given, "due"):
        return given
    return Every(epochs=whole("validation_freq", given, at_least=1))


def check_eager() -> None:
    """Raises inside of a `tf.function`: data, files and callbacks exist outside of it only."""
    if not tf.executing_eagerly():
        raise RuntimeError(
            "this trainer was called inside a tf.function (or another trace). Call fit, evaluate "
            "and predict from plain Python: they compile their own loops. For a forward pass in a "
            "graph of yours call the model, trainer.task.model(x)."
        )


def check_sums(sums: Any, where: Task, verb: str) -> dict[str, Any]:
    """What a task's step returned, if it is a dict of sums."""
    step = f"{type(where).__name__}.{'step' if verb == 'train' else 'eval_step'}"
    if not isinstance(sums, Mapping):
        raise TypeError(
            f"{step} returned {type(sums).__name__}; it must return a dict of name -> Sums, for "
            "example {'loss': ctx.minimize(...)}."
        )
    for name, value in sums.items():
        known = isinstance(value, Sums) or name in where.metrics
        if not isinstance(name, str) or not known:
            raise TypeError(
                f"{step} returned {name!r}: {type(value).__name__}; report Sums: "
                "Sums.of(values) for the mean of one value per example."
            )
    return {name: tf.nest.map_structure(tf.convert_to_tensor, v) for name, v in sums.items()}


@contextmanager
def traceable() -> Iterator[None]:
    """Around a step that is traced: TensorFlow's advice to one that asks for values is no help.

    Raises:
        TypeError: the step uses a tensor as a Python value; says where, and what to use instead.
    """
    try:
        yield
    except (TypeError, NotImplementedError, AttributeError) as error:
        if "symbolic" not in str(error).lower():
            raise
        raise TypeError(
            f"{_where(error)} uses a tensor as a Python value (in `if`, `for`, float(), "
            ".numpy() or a function of NumPy), but a step is traced once, before there are any "
            "values. Use tf.where, tf.cond, tf.while_loop and the functions of TensorFlow."
        ) from error


def _where(error: BaseException) -> str:
    """The line of a user that an error came from: the last that is no library's."""
    own = pathlib.Path(__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    users = [
        f
        for f in frames
        if "site-packages" not in f.filename and own not in pathlib.Path(f.filename).parents
    ]
    frame = (users or frames)[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


def label(where: Task, wanted: Any) -> str:
    """An optimizer's name in the reports: its attribute's, or "" when it is the only one."""
    found = {
        name: value
        for name, value in vars(where).items()
        if callable(getattr(value, "apply", None))
    }
    if len(found) < 2:
        return ""
    return next((name for name, value in found.items() if value is wanted), "")
