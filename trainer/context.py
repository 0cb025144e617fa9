"""StepContext: the few tools that a step is handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from trainer import gradients, learning_rates, state, update
from trainer.distribution.replica import ALONE, Replica
from trainer.instruments.readout import Readout
from trainer.precision.loss_scale import Scaler
from trainer.random import Seeds
from trainer.sums import Sums


class StepContext:
    """What a step may use besides ordinary TensorFlow.

    Args:
        seeds: source of this step's seeds.
        parts: into how many parts `minimize` takes a batch.
        gradient_norm: whether `minimize` reports the global norm of the gradient.
        label: gives an optimizer its name in the reports; "" when it is the only one.
        scaler: gives an optimizer's loss scale; None where the precision needs none, and then
            nothing of it is in the graph.
        readout: what reads the updates; None on the steps at which nothing is to be read.
        warn: called with a message that should be said once per run.
        replica: the replica that runs the step.
        by_xla: whether XLA compiles what lies between exchanges of the replicas.
    """

    def __init__(
        self,
        seeds: Seeds,
        *,
        parts: int = 1,
        gradient_norm: bool = False,
        label: Callable[[Any], str] = lambda optimizer: "",
        scaler: Callable[[Any], Scaler | None] = lambda optimizer: None,
        readout: Readout | None = None,
        warn: Callable[[str], None] = lambda message: None,
        replica: Replica = ALONE,
        by_xla: bool = False,
    ) -> None:
        self.scalars: dict[str, tf.Tensor] = {}
        self._seeds = seeds
        self._parts = parts
        self._gradient_norm = gradient_norm
        self._label = label
        self._scaler = scaler
        self._readout = readout
        self._warn = warn
        self._replica = replica
        self._by_xla = by_xla

    def minimize(
        self,
        loss_fn: Callable[[Any], Any],
        batch: Any,
        optimizer: Any,
        variables: Sequence[Any],
    ) -> Any:
        """Performs one exact parameter update.

        The batch is taken in parts if the trainer accumulates; gradients and counts are added as
        sums over the parts and divided once, so that k parts give what one batch would.

        Args:
            loss_fn: called with a part of the batch. It returns one value per example, `[b]` or
                `[b, ...]`, or a `Sums`, or a list or dict of these (each averaged by itself, then
                added); or a pair `(loss, extras)` where extras is a dict of `Sums`.
            batch: a nest of tensors with the examples along the first axis.
            optimizer: anything with `apply(gradients, variables)`. If it has `perturb(gradients,
                variables)` too (as SAM has), it is called with the gradients, and those that are
                applied are taken where it left the variables: the same batch, parts and seeds.
            variables: what to update: `tf.Variable`s or Keras variables.

        Returns:
            The loss as `Sums`, or `(loss, extras)` where `loss_fn` returned a pair. Of several
            replicas, each gets an equal share of the loss of the whole batch.

        Raises:
            ValueError: there is nothing to train, no gradient reaches any variable, or the loss
                has the wrong shape.
        """
        label = self._label(optimizer)
        prefix = f"{label}/" if label else ""
        self._report_rates(label, optimizer)
        scaler = self._scaler(optimizer)
        scale = None if scaler is None else scaler.scale.read_value()

        def take() -> update.Update:
            return update.accumulate(
                loss_fn,
                batch,
                variables,
                self._parts,
                self._seeds,
                scale=scale,
                replica=self._replica,
                by_xla=self._by_xla,
            )

        before = [] if self._readout is None else self._readout.before(variables)
        result = self._worst_near_by(take, optimizer) if hasattr(optimizer, "perturb") else take()
        if result.unreached:
            names = ", ".join(result.unreached)
            self._warn(f"no gradient reaches {names}; these variables stay as they are")
        if self._gradient_norm:
            self.scalars[f"{prefix}gradient_norm"] = gradients.global_norm(result.gradients)
        apply = _apply if scaler is None else partial(scaler.apply_if_finite, step=self._seeds.step)
        # What other optimizers assign goes to several devices at once, which XLA cannot compile.
        by_xla = self._by_xla and getattr(optimizer, "updates_own_copies", False)
        skipped = self._replica.update(
            optimizer,
            lambda *given: update.compiled(lambda: apply(*given), by_xla),
            result,
        )
        if scaler is not None:
            self.scalars[f"{prefix}loss_scale"] = scale
            self.scalars[f"{prefix}skipped"] = skipped
        if self._readout is not None:
            self._readout.after(label, result.variables, result.gradients, before)
        loss = self._replica.share(result.loss)
        return (loss, result.extras) if result.has_extras else loss

    def _report_rates(self, label: str, optimizer: Any) -> None:
        """The rate of this update, of each group where there are several, for the history."""
        for path, single in learning_rates.rated(label, optimizer):
            rate = getattr(single, learning_rates.NAME, None)
            if rate is not None and not callable(rate):
                name = f"{path}/{learning_rates.NAME}" if path else learning_rates.NAME
                self.scalars[name] = tf.cast(tf.convert_to_tensor(rate), tf.float32)

    def as_one(self, terms: Sequence[Sums]) -> Sums:
        """The sum of the means of several terms, over the whole batch, as `Sums` to report."""
        if len(terms) == 1:
            return terms[0]
        return self._replica.share(update.as_one(self._replica.sum(list(terms))))

    def _worst_near_by(self, take: Callable[[], update.Update], optimizer: Any) -> update.Update:
        """Gradients where `perturb` leads; loss and extras are those at the variables as they were.

        A first gradient that is not finite leads nowhere; the update is then left out.
        """
        mark = self._seeds.mark()
        first = take()
        origin, towards = None, first.gradients
        if first.finite is not None:
            origin = [state.as_tf(v).read_value() for v in first.variables]
            towards = gradients.zero_unless(first.finite, towards)
        first = first._replace(gradients=towards)
        self._replica.update(optimizer, _perturb, first)
        self._seeds.rewind(mark)
        second = take()
        if first.finite is None:
            return first._replace(gradients=second.gradients)
        return first._replace(
            gradients=second.gradients,
            finite=tf.logical_and(first.finite, second.finite),
            sums=[*first.sums, *second.sums],
            origin=origin,
        )

    def seed(self) -> tf.Tensor:
        """A fresh seed, int32 `[2]`: a pure function of (seed, step, replica, part, call)."""
        return self._seeds.next()

    def sum(self, tree: Any) -> Any:
        """A nest of tensors, each added over the replicas' rows: the same on every replica.

        Sums that a step returns are added anyway; this is for what the step itself goes on with.
        """
        return self._replica.sum(tree)

    def gather(self, x: Any) -> Any:
        """The rows of all replicas, `[m, ...] -> [M, ...]`, in the order of the batch.

        Gradients flow back to the replica whose rows they are, so that a contrastive loss may take
        all of them as candidates; this replica's own begin at `first_row`. Within `minimize`, they
        are the rows of the part at hand.

        Args:
            x: one row for each of the replica's own examples.
        """
        return self._replica.gather(x)

    @property
    def first_row(self) -> int:
        """The row of what `gather` gives at which this replica's own begin."""
        return self._replica.first_row


def _apply(optimizer: Any, result: update.Update) -> None:
    optimizer.apply(result.gradients, result.variables)


def _perturb(optimizer: Any, result: update.Update) -> None:
    optimizer.perturb(result.gradients, result.variables)


class BuildContext(StepContext):
    """Stands in while a task is built: `minimize` makes variables and slots, updates nothing."""

    def minimize(
        self, loss_fn: Callable[[Any], Any], batch: Any, optimizer: Any, variables: Sequence[Any]
    ) -> Any:
        """Calls `loss_fn` once, so that lazily built modules make their variables."""
        loss, extras, has_extras = update.read_loss(loss_fn(batch))
        if variables and hasattr(optimizer, "build"):
            optimizer.build(list(variables))
        total = update.as_one(loss)
        return (total, extras) if has_extras else total
