"""Task: what one step is. Override `step` for anything that is not plain supervised training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.context import BuildContext, StepContext
from trainer.metrics.base import Metric
from trainer.random import Seeds


class Task(tf.Module):
    """One step of training, evaluation and prediction; everything it trains is in its attributes.

    Models, optimizers and any other state are found by walking the attributes, so they are built,
    seeded, saved and restored without being declared.

    Attributes:
        metrics: name -> `Metric`, for outputs of a step that are not plain `Sums`: says how the
            added sums become the reported value.
        build_rows: how many rows of the data `build` is shown; None: a whole batch.
        divisible: whether the parts of a batch add up to the update of the whole, so that one that
            does not fit into memory may be taken in parts. Set it to False where a step compares
            the rows of a batch with one another, as candidates within a batch are.

    Example:
        >>> class Regression(Task):
        ...     def __init__(self, model, optimizer):
        ...         super().__init__()
        ...         self.model, self.optimizer = model, optimizer
        ...     def step(self, batch, ctx):
        ...         def loss_fn(part):
        ...             error = self.model(part["x"]) - part["y"]
        ...             return tf.reduce_mean(tf.square(error), axis=-1)   # [b]
        ...         return {"loss": ctx.minimize(loss_fn, batch, self.optimizer,
        ...                                      self.model.trainable_variables)}
    """

    build_rows: int | None = None
    divisible: bool = True

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.metrics: dict[str, Metric] = {}

    def step(self, batch: Any, ctx: StepContext) -> Mapping[str, Any]:
        """Trains on one batch, ordinarily by `ctx.minimize`; traced and compiled.

        Args:
            batch: a nest of tensors as the data gave it, examples along the first axis.
            ctx: the tools of the step: `minimize`, `seed`.

        Returns:
            name -> `Sums`, or a nest of sums for a name in `metrics`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define step(self, batch, ctx), what to do with one batch"
        )

    def eval_step(self, batch: Any, ctx: StepContext) -> Mapping[str, Any]:
        """Evaluates one batch: name -> `Sums`. No default for a task of one's own."""
        raise NotImplementedError(
            f"{type(self).__name__} defines no eval_step(self, batch, ctx), so it cannot evaluate "
            "or validate: define it, returning a dict of name -> Sums"
        )

    def predict_step(self, batch: Any, ctx: StepContext) -> Any:
        """The outputs for one batch: a nest of `[b, ...]`. No default for a task of one's own."""
        raise NotImplementedError(
            f"{type(self).__name__} defines no predict_step(self, batch, ctx), so it cannot "
            "predict: define it, returning a nest of tensors [batch, ...]"
        )

    def build(self, batch: Any, verb: str) -> None:
        """Makes all variables, by running a step eagerly without its updates; override if costly.

        Args:
            batch: eager tensors of the data's shapes.
            verb: "train", "evaluate" or "predict": which step is to be run.
        """
        steps = {"train": self.step, "evaluate": self.eval_step, "predict": self.predict_step}
        for _ in range(2):  # lazily built modules first, then the slots of their variables
            steps[verb](batch, BuildContext(Seeds(0, 0)))
