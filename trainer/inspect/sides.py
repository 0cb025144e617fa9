"""The sides of a comparison: a trainer or a Keras model, tried step by step and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import tensorflow as tf

from trainer import arguments, state
from trainer.callbacks.base import Callback, Control, Report
from trainer.callbacks.triggers import Every
from trainer.inspect.replay import loss_column
from trainer.supervised import unpack

if TYPE_CHECKING:
    from trainer.trainer import Trainer


class Side(Protocol):
    """One of two runs."""

    names: list[str]

    def trying(self, batches: Sequence[Any]) -> Any:
        """A context in which it is built and trained; afterwards it is as it was."""

    def values(self) -> list[np.ndarray]:
        """Its floating variables, in the order of its layers."""
        ...

    def assign(self, values: Sequence[np.ndarray]) -> None:
        """Sets them."""

    def run(self, batches: Sequence[Any], saw: Callable[[float], None]) -> None:
        """Makes a step of each batch, and tells its loss."""


def side_of(run: Any) -> Side:
    """A trainer's or a Keras model's.

    Raises:
        TypeError: it is neither.
    """
    if hasattr(run, "scratch"):
        return _Ours(run)
    if state.is_keras(run) and getattr(run, "compiled", False):
        return _Keras(run)
    raise TypeError(
        f"{type(run).__name__} cannot be compared: pass a Trainer, or a Keras model after "
        "model.compile(...)."
    )


class _Ours:
    def __init__(self, trainer: Trainer) -> None:
        self.names: list[str] = []
        self._trainer, self._trial = trainer, trainer
        self._variables: list[tf.Variable] = []

    @contextmanager
    def trying(self, batches: Sequence[Any]) -> Iterator[None]:
        with self._trainer.scratch() as self._trial:
            self._trial.prepare(lambda: self._parts(batches)).close()
            root = arguments.weights_root(self._trial.task)
            paths = {id(v): path for path, v in state.model_variables(root).items()}
            # Layers of ours list their weights in Keras's order; other modules as attributes lie.
            listed = getattr(root, "weights", None) or list(state.model_variables(root).values())
            found = [v for v in map(state.as_tf, listed) if v.dtype.is_floating]
            self.names = [paths.get(id(v), v.name) for v in found]
            self._variables = found
            yield

    def values(self) -> list[np.ndarray]:
        return [v.numpy() for v in self._variables]

    def assign(self, values: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)

    def run(self, batches: Sequence[Any], saw: Callable[[float], None]) -> None:
        class Seen(Callback):
            when = Every(steps=1)

            def __call__(self, report: Report) -> Control | None:
                saw(float(loss_column(report.steps)[-1]))
                return None

        steps = self._trial.step + len(batches)
        data = lambda: self._parts(batches)  # noqa: E731
        self._trial.fit(data, steps=steps, callbacks=[Seen()], verbose=0)

    def _parts(self, batches: Sequence[Any]) -> Iterator[Any]:
        """The batches as the trainer joins them again: in as many parts as it accumulates."""
        for batch in batches:
            rows = tf.nest.flatten(batch)[0].shape[0]
            part = -(-rows // self._trainer.accumulate)
            for at in range(0, rows, part):
                here = slice(at, at + part)
                yield tf.nest.map_structure(lambda v, here=here: v[here], batch)


class _Keras:
    def __init__(self, model: Any) -> None:
        self.names: list[str] = []
        self._model = model
        self._variables: list[Any] = []

    @contextmanager
    def trying(self, batches: Sequence[Any]) -> Iterator[None]:
        model = self._model
        if not model.built:
            model(tf.nest.map_structure(lambda a: a[:1], unpack(batches[0])[0]))
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._variables = [v for v in model.weights if "float" in str(v.dtype)]
        self.names = [v.path for v in self._variables]
        everything = [*model.variables, *model.optimizer.variables]
        before = [v.numpy() for v in everything]
        try:
            yield
        finally:
            for variable, value in zip(everything, before, strict=True):
                variable.assign(value)

    def values(self) -> list[np.ndarray]:
        return [v.numpy() for v in self._variables]

    def assign(self, values: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)

    def run(self, batches: Sequence[Any], saw: Callable[[float], None]) -> None:
        for batch in batches:
            x, y, weight = unpack(batch)
            self._model.reset_metrics()  # or the loss would be the mean of all so far
            logs = self._model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
            saw(float(logs["loss"]))
