"""From what a user writes in `metrics=[...]` to a metric."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from typing import Any

from trainer.metrics.base import MeanMetric, Metric
from trainer.metrics.classification import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
)
from trainer.metrics.regression import MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError

_MODULES = (
    "calibration",
    "classification",
    "confusion",
    "curves",
    "fbeta",
    "losses",
    "moments",
    "regression",
    "segmentation",
    "thresholds",
)
_BASES = ("MatrixMetric", "LossMetric")


def _catalogue() -> dict[str, type[Metric]]:
    found = {}
    for module in _MODULES:
        for name, value in vars(importlib.import_module(f"trainer.metrics.{module}")).items():
            public = inspect.isclass(value) and not name.startswith("_") and name not in _BASES
            if public and value.__module__ == f"trainer.metrics.{module}":
                found[name] = value
    return found


CLASSES: dict[str, type[Metric]] = _catalogue()
_BY_SHAPE = ("accuracy", "acc")
SHORT = {"mse": MeanSquaredError, "mae": MeanAbsoluteError, "rmse": RootMeanSquaredError}


def get(identifier: Any, y_true_spec: Any = None, y_pred_spec: Any = None) -> Metric:
    """The metric that `identifier` names.

    Args:
        identifier: a `Metric`; a string, Keras's snake_case, CamelCase or short name, under which
            the value is then reported; "accuracy" or "acc", which chooses among binary, sparse and
            categorical accuracy by the shapes, as Keras does; a function `fn(y_true, y_pred)`
            giving `[b, ...]`, or a loss object, of which the mean is reported.
        y_true_spec: anything with the `shape` of the targets; needed by "accuracy" only.
        y_pred_spec: the same of the predictions.

    Raises:
        ValueError: the name is unknown, or "accuracy" cannot be told from the shapes.
        TypeError: none of these, a class instead of an instance, or a Keras metric.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        return _named(identifier, y_true_spec, y_pred_spec)
    if isinstance(identifier, type):
        raise TypeError(
            f"metric {identifier.__name__} is a class; call it: {identifier.__name__}()"
        )
    if _is_keras_metric(identifier):
        raise TypeError(_keras_message(identifier))
    if hasattr(identifier, "call") and hasattr(identifier, "reduction"):  # a loss: its values
        return MeanMetric(identifier.call, getattr(identifier, "name", None), "min")
    if callable(identifier):
        return MeanMetric(identifier)
    raise TypeError(
        f"metric {identifier!r} is a {type(identifier).__name__}; pass a name, a Metric, or a "
        "function fn(y_true, y_pred) giving one value per example."
    )


def check_name(name: str) -> None:
    """Raises ValueError as `get` does of an unknown name, before any shapes are known."""
    if name.lower() not in _BY_SHAPE:
        _kind(name)


def _named(name: str, y_true_spec: Any, y_pred_spec: Any) -> Metric:
    if name.lower() in _BY_SHAPE:
        return _accuracy(name, y_true_spec, y_pred_spec)
    return _made(_kind(name), name)


def _kind(name: str) -> type[Metric]:
    table: dict[str, type[Metric]] = {**SHORT}
    for kind, cls in CLASSES.items():
        table.update({_letters(kind): cls, _letters(_default_name(cls)): cls})
    if _letters(name) in table:
        return table[_letters(name)]
    known = sorted({*SHORT, *map(_default_name, CLASSES.values())})
    near = difflib.get_close_matches(_snake(name), known, n=3)
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(
        f"metric {name!r} is not known. {hint}Known names: {', '.join(known)}. Anything else: pass "
        "a Metric, or a function fn(y_true, y_pred) giving one value per example."
    )


def _letters(name: str) -> str:
    """What is left of a name in any spelling: "MeanIoU", "mean_iou" and "mean_io_u" are one."""
    return name.replace("_", "").lower()


def _default_name(cls: type[Metric]) -> str:
    return str(inspect.signature(cls).parameters["name"].default)


def _made(kind: type[Metric], name: str) -> Metric:
    needed = [
        key
        for key, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is parameter.empty
    ]
    if needed:
        arguments = ", ".join(f"{key}=..." for key in needed)
        raise ValueError(
            f"metric {name!r} needs arguments; pass trainer.metrics.{kind.__name__}({arguments})."
        )
    return kind(name=name)


def _accuracy(name: str, y_true_spec: Any, y_pred_spec: Any) -> Metric:
    """Keras's rule, by the last dimensions and the ranks.

    A prediction of one number per example, `[b]`, is binary too; Keras would take the batch for
    classes.
    """
    true, pred = getattr(y_true_spec, "shape", None), getattr(y_pred_spec, "shape", None)
    true, pred = _dims(true), _dims(pred)
    explicit = "name it: 'binary_accuracy', 'sparse_categorical_accuracy' or 'categorical_accuracy'"
    if true is None or pred is None:
        raise ValueError(
            f"metric {name!r} needs the shapes of one target and one prediction to choose between "
            f"binary, sparse and categorical accuracy, and they are not known here; {explicit}."
        )
    if len(pred) == 1 or pred[-1] == 1:
        return BinaryAccuracy(name)
    if len(true) < len(pred) or true[-1] == 1:
        return SparseCategoricalAccuracy(name)
    if pred[-1] is None:
        raise ValueError(
            f"metric {name!r}: the last dimension of the prediction, {pred}, is not known; "
            f"{explicit}."
        )
    return CategoricalAccuracy(name)


def _dims(shape: Any) -> tuple[int | None, ...] | None:
    """A shape as a tuple; None when it has no known rank, or no axes."""
    if shape is None or getattr(shape, "rank", 0) is None:
        return None
    return tuple(shape) or None


def _is_keras_metric(thing: Any) -> bool:
    return any(
        cls.__name__ == "Metric" and cls.__module__.split(".")[0] in ("keras", "tf_keras")
        for cls in type(thing).__mro__
    )


def _keras_message(metric: Any) -> str:
    kind, name = type(metric).__name__, getattr(metric, "name", "metric")
    start = (
        f"metric {name!r} is a Keras metric object ({kind}): it keeps its state in "
        "variables, while ours are sums that pass through the compiled loop. "
    )
    if kind in CLASSES:
        return (
            start
            + f"Use {kind} of trainer.metrics, or the string {_default_name(CLASSES[kind])!r}."
        )
    if kind in ("Mean", "Sum", "MeanMetricWrapper"):
        ours = "Sum" if kind == "Sum" else "Mean"
        return start + f"Use trainer.metrics.{ours}(fn) with a function fn(y_true, y_pred)."
    return start + "There is no equivalent yet: write a Metric that returns its sums."


def _snake(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
