"""Supervised: the task behind `Trainer(model, loss=..., optimizer=...)`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from trainer import state, update
from trainer.context import StepContext
from trainer.objective import Objective, describe
from trainer.task import Task


class Supervised(Task):
    """Trains a model to map x to y; a batch is `x`, `(x, y)` or `(x, y, sample_weight)`.

    Args:
        model: a layer or model of ours, a `tf.Module` with `__call__`, or a Keras model.
        objective: losses and metrics.
        optimizer: anything with `apply(gradients, variables)`.
        parts: into how many a batch will be taken.
    """

    build_rows = 1

    def __init__(self, model: Any, objective: Objective, optimizer: Any, parts: int = 1) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self._parts = parts
        self._takes_training = takes_training(model)

    def step(self, batch: Any, ctx: StepContext) -> Mapping[str, Any]:
        """One update on the mean loss; see `Task.step`."""

        def loss_fn(part: Any) -> Any:
            x, y, weight = unpack(part)
            y_pred = self.call(x, training=True)
            return self.objective.terms(y, y_pred, weight, state.regularization_losses(self.model))

        variables = state.trainable_variables(self.model)
        loss, extras = ctx.minimize(loss_fn, batch, self.optimizer, variables)
        return {"loss": loss, **extras}

    def eval_step(self, batch: Any, ctx: StepContext) -> Mapping[str, Any]:
        """Loss and metrics, with `training=False`."""
        x, y, weight = unpack(batch)
        y_pred = self.call(x, training=False)
        terms, extras = self.objective.terms(
            y, y_pred, weight, state.regularization_losses(self.model)
        )
        return {"loss": ctx.as_one(update.by_count(terms)), **extras}

    def predict_step(self, batch: Any, ctx: StepContext) -> Any:
        """The model's outputs, with `training=False`."""
        return self.call(unpack(batch)[0], training=False)

    def call(self, x: Any, *, training: bool) -> Any:
        """The model on `x`, told whether it trains if it can be told."""
        return self.model(x, training=training) if self._takes_training else self.model(x)

    def build(self, batch: Any, verb: str) -> None:
        """Calls the model once in inference mode, matches losses and metrics, makes the slots."""
        x, y, _ = unpack(batch)
        y_pred = self.call(x, training=False)
        names = getattr(self.model, "output_names", None)
        if verb != "predict":
            self.objective.bind(y, y_pred, names)
            self.metrics = self.objective.metrics
        if verb == "train":
            self._check_trainable_setup()
            variables = state.trainable_variables(self.model)
            if not variables:
                raise ValueError(
                    f"the model {type(self.model).__name__} has no trainable variables: there is "
                    "nothing to train. Is everything frozen by trainable=False, or are layers kept "
                    "where they cannot be found? Keep them in attributes, lists or dicts of a "
                    "tf.Module."
                )
            if hasattr(self.optimizer, "build"):
                self.optimizer.build(variables)

    @property
    def divisible(self) -> bool:  # type: ignore[override]
        """Whether parts add up: not where a loss is a plain sum, or compares a batch's rows."""
        compared = any(getattr(x, "compares_rows", False) for x in self.objective.losses)
        return not (compared or self._summed())

    def _summed(self) -> list[Any]:
        return [x for x in self.objective.losses if getattr(x, "reduction", "") == "sum"]

    def _check_trainable_setup(self) -> None:
        if self.optimizer is None:
            raise ValueError(
                "optimizer=None: fit needs one; pass Trainer(model, optimizer='adam', ...)."
            )
        summed = self._summed()
        if summed and self._parts > 1:
            raise ValueError(
                f"accumulate={self._parts} with reduction='sum' in {describe(summed[0])}: parts "
                "are averaged by what they count, which a plain sum does not; use "
                "reduction='sum_over_batch_size' and scale by loss_weights."
            )


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of a batch; None for what is not there."""
    if not isinstance(batch, tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"a batch is a tuple of {len(batch)} parts; it must be (x,), (x, y) or "
            "(x, y, sample_weight). Several inputs or outputs go into nested tuples or dicts: "
            "((x1, x2), y)."
        )
    x, y, weight = (*batch, None, None)[:3]
    return x, y, weight


def takes_training(model: Any) -> bool:
    """Whether `model(x, training=...)` is possible."""
    if state.is_keras(model):
        return True
    call = model if inspect.isroutine(model) else type(model).__call__
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
