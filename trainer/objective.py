"""Objective: which loss and which metrics belong to which output, and their sums over a batch."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import metrics as metrics_lib
from trainer import names, probabilities
from trainer.metrics.base import Metric
from trainer.metrics.names import check_name as check_metric
from trainer.sums import Sums, spread

_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


class Output(NamedTuple):
    """One output of a model and what is computed on it; `name` is "" when it is the only one."""

    name: str
    loss: Any
    loss_weight: float
    classes: int  # size of the output's last axis
    metrics: list[tuple[str, Metric, bool]]  # reported name, metric, whether weights apply


class Objective:
    """The losses and metrics of supervised training, in any of Keras's forms.

    Args:
        loss: one loss (of ours, of Keras, a string, or `fn(y_true, y_pred)` giving one value per
            element), or a list or dict of them, one per output.
        loss_weights: a list or dict of numbers, one per output; 1 each when not given.
        metrics: a list (one output), or a dict or list of lists by output; not weighted.
        weighted_metrics: the same; weighted by the sample weights.
    """

    def __init__(
        self,
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        self._given = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        self.outputs: list[Output] = []
        # A misspelt name is told at once; all else needs the outputs.
        for name in _strings(loss):
            _loss(name)
        for name in _strings([metrics, weighted_metrics]):
            check_metric(name)

    def bind(self, y_true: Any, y_pred: Any, output_names: Sequence[str] | None) -> None:
        """Matches everything to the outputs of a model, given one eager batch.

        Raises:
            ValueError: a name, a number of entries or a shape does not fit.
        """
        outputs = by_name(y_pred, output_names)
        _check_outputs(outputs)
        targets = match(y_true, outputs, "y")
        if self._given["loss"] is None:
            raise ValueError(
                "loss=None: fit and evaluate need one; pass Trainer(model, loss='mse', ...), or "
                "override step in a Task."
            )
        losses = self._per_output("loss", outputs)
        weights = self._per_output("loss_weights", outputs)
        plain = self._per_output("metrics", outputs)
        weighted = self._per_output("weighted_metrics", outputs)
        bound = []
        for name in outputs:
            chosen = losses[name]
            found = [
                (*_metric(entry, targets[name], outputs[name]), is_weighted)
                for entries, is_weighted in ((plain[name], False), (weighted[name], True))
                for entry in _as_list(entries)
            ]
            weight = 1.0 if weights[name] is None else float(weights[name])
            loss = None if chosen is None else _loss(chosen)
            probabilities.check_loss(loss, outputs[name], name)
            for _, metric, _ in found:
                probabilities.check_metric(metric, outputs[name])
            bound.append(
                Output(
                    name,
                    loss,
                    weight,
                    _last(outputs[name]),
                    found,
                )
            )
        _refuse_doubles(bound)
        self.outputs = bound

    def terms(
        self, y_true: Any, y_pred: Any, sample_weight: Any, regularizers: Sequence[tf.Tensor]
    ) -> tuple[list[Sums], dict[str, Any]]:
        """The loss terms of a batch, and what is reported beside the loss.

        Each output's loss is averaged over its own elements (Keras's "sum_over_batch_size"), then
        weighted and added; regularisers are added as they are, whatever the batch's size.
        """
        y_pred = tf.nest.map_structure(_widened, y_pred)
        named = by_name(y_pred, [o.name for o in self.outputs])
        targets = match(y_true, named, "y")
        weights = match_weights(sample_weight, named)
        many = len(self.outputs) > 1
        rows = tf.cast(tf.shape(tf.nest.flatten(y_pred)[0])[0], tf.float32) if many else None
        terms: list[Sums] = []
        extras: dict[str, Any] = {}
        for output in self.outputs:
            name, prefix = output.name, f"{output.name}_" if many else ""
            if output.loss is not None:
                with tf.name_scope("loss"):
                    sums, even = loss_sums(output.loss, targets[name], named[name], weights[name])
                if many:
                    extras[f"{prefix}loss"] = sums
                    # With equally many elements a row, all outputs can share one count, and so
                    # one backward pass.
                    if even:
                        per_row = tf.math.divide_no_nan(rows, sums.count)
                        sums = Sums(sums.total * per_row, rows)
                terms.append(Sums(sums.total * output.loss_weight, sums.count))
            detached = tf.stop_gradient(named[name])
            for label, metric, is_weighted in output.metrics:
                weight = _masked(weights[name] if is_weighted else None, named[name])
                with tf.name_scope("metrics"):
                    extras[prefix + label] = metric(targets[name], detached, weight)
        if regularizers:
            extra = tf.add_n(list(regularizers))
            terms[0] = Sums(terms[0].total + extra * terms[0].count, terms[0].count)
        return terms, extras

    @property
    def metrics(self) -> dict[str, Metric]:
        """Reported name -> metric."""
        many = len(self.outputs) > 1
        return {
            (f"{o.name}_{label}" if many else label): metric
            for o in self.outputs
            for label, metric, _ in o.metrics
        }

    @property
    def losses(self) -> list[Any]:
        """The losses in use."""
        return [o.loss for o in self.outputs if o.loss is not None]

    def integer_targets(self, y: Any, argument: str) -> list[tuple[Any, int, str, tuple[int, ...]]]:
        """(labels, classes, argument, also allowed) of each output whose loss takes class numbers.

        `y` as the user passed it under the name `argument`; a stream has none to look at.
        """
        if y is None or not self.outputs:
            return []
        named = match(y, {o.name: None for o in self.outputs}, argument)
        found: list[tuple[Any, int, str, tuple[int, ...]]] = []
        for output in self.outputs:
            sparse = "sparse_categorical" in str(getattr(output.loss, "name", ""))  # Keras's
            if sparse or getattr(output.loss, "class_numbers", False):
                ignored = getattr(output.loss, "ignore_class", None)
                allowed = () if ignored is None else (int(ignored),)
                label = f"{argument}[{output.name!r}]" if output.name else argument
                found.append((named[output.name], output.classes, label, allowed))
        return found

    def _per_output(self, argument: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
        given, keys = self._given[argument], list(outputs)
        if given is None:
            return dict.fromkeys(keys)
        if isinstance(given, Mapping):
            for key in given:
                if key not in keys:
                    raise ValueError(
                        f"{argument} has an entry for {key!r}, but the outputs are "
                        f"{_names(keys)}{_near(key, keys)}"
                    )
            return {key: given.get(key) for key in keys}
        if argument.endswith("metrics"):
            return self._metrics_per_output(argument, given, keys)
        if isinstance(given, (list, tuple)):
            if len(given) != len(keys):
                raise ValueError(
                    f"{argument} is a list of {len(given)} for {len(keys)} output"
                    f"{'s' if len(keys) > 1 else ''} ({_names(keys)}); give one per output. To add "
                    "several losses on one output, write a function that adds them."
                )
            return dict(zip(keys, given, strict=True))
        return dict.fromkeys(keys, given)

    @staticmethod
    def _metrics_per_output(argument: str, given: Any, keys: list[str]) -> dict[str, Any]:
        if len(keys) == 1:
            flat = given[0] if _is_nested(given) and len(given) == 1 else given
            return {keys[0]: flat}
        if _is_nested(given) and len(given) == len(keys):
            return dict(zip(keys, given, strict=True))
        raise ValueError(
            f"{argument}={given!r} does not say which of the {len(keys)} outputs each belongs to; "
            f"pass a dict with keys {_names(keys)}."
        )


def loss_sums(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Sums, bool]:
    """The sums of one loss over a batch, and whether every row counts the same.

    The count is the number of elements (Keras's "sum_over_batch_size"), of unmasked ones where the
    loss or a Keras output carries a mask, or the sum of weights for "mean_with_sample_weight".
    """
    values = call_loss(loss, y_true, y_pred)
    mask = _mask(loss, y_true, y_pred, values)
    values = tf.cast(values, tf.float32)
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if values.shape.rank == 0:
        raise ValueError(
            f"the loss {describe(loss)} returned one number for the whole batch; it must return "
            "one value per example, [batch] (no mean over the batch), so that batches of different "
            "sizes add exactly."
        )
    if None not in (values.shape[0], y_pred.shape[0]) and values.shape[0] != y_pred.shape[0]:
        raise ValueError(
            f"the loss {describe(loss)} returned shape {values.shape} for a batch of "
            f"{y_pred.shape[0]}; it must return one value per example, [batch] or [batch, ...]."
        )
    count = tf.cast(tf.size(values), tf.float32)
    weights = None
    if sample_weight is not None:
        weights = spread(tf.cast(sample_weight, tf.float32), values)
        values *= weights
    if mask is not None:
        values, count = values * mask, tf.reduce_sum(mask)
    if reduction == "mean_with_sample_weight" and weights is not None:
        count = tf.reduce_sum(weights if mask is None else weights * mask)
    elif reduction == "sum":
        count = tf.constant(1.0)
    even = mask is None and reduction not in ("mean_with_sample_weight", "sum")
    return Sums(tf.reduce_sum(values), count), even


def _mask(loss: Any, y_true: Any, y_pred: Any, values: Any) -> tf.Tensor | None:
    """Which elements count, float32 in the shape of `values`; None: all.

    A mask travels with a Keras model's output, with a Keras loss's values, or comes from `mask` of
    a loss of ours (classes that are ignored).
    """
    own = loss.mask(y_true, y_pred) if callable(getattr(loss, "mask", None)) else None
    carried = [getattr(tensor, "_keras_mask", None) for tensor in (y_pred, values)]
    found = [spread(tf.cast(m, tf.float32), values) for m in (own, *carried) if m is not None]
    return math.prod(found[1:], start=found[0]) if found else None


def _masked(sample_weight: Any, y_pred: Any) -> Any:
    """A metric's weights, 0 where the mask of a Keras model says that there is nothing."""
    mask = getattr(y_pred, "_keras_mask", None)
    if mask is None:
        return sample_weight
    mask = tf.cast(mask, tf.float32)
    if sample_weight is None:
        return mask
    return mask * spread(tf.cast(sample_weight, tf.float32), mask)


def call_loss(loss: Any, y_true: Any, y_pred: Any) -> Any:
    """A loss's values before any reduction."""
    if callable(getattr(loss, "call", None)):
        if any(base.__module__.startswith("keras.") for base in type(loss).__mro__):
            y_true, y_pred = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
        return loss.call(y_true, y_pred)
    return loss(y_true, y_pred)


def _widened(y_pred: Any) -> Any:
    """An output in half precision as float32, with what Keras has attached to it."""
    if not y_pred.dtype.is_floating or y_pred.dtype.size >= 4:
        return y_pred
    wide = tf.cast(y_pred, tf.float32)
    for name, cast in (("_keras_mask", lambda x: x), ("_keras_logits", _widened)):
        if (attached := getattr(y_pred, name, None)) is not None:
            setattr(wide, name, cast(attached))
    return wide


def _strings(given: Any) -> list[str]:
    return [entry for entry in tf.nest.flatten(given) if isinstance(entry, str)]


def _check_outputs(outputs: Mapping[str, Any]) -> None:
    """Raises where the model gives nothing that a loss could compare."""
    for name, value in outputs.items():
        what = f"the model's output {name!r}" if name else "the model's output"
        if value is None:
            raise TypeError(f"{what} is None; does the model's __call__ end in a return?")
        if value.dtype.is_integer or value.dtype.is_bool:
            raise TypeError(
                f"{what} is {value.dtype.name}, which has no gradient: give the loss scores or "
                "probabilities, and take the largest (tf.argmax) after predict. Metrics such as "
                "accuracy take scores too."
            )


def _loss(given: Any) -> Any:
    loss = names.loss(given)
    if isinstance(loss, type):
        raise TypeError(f"loss={loss.__name__} is a class; pass an instance: {loss.__name__}().")
    if not callable(loss):
        raise TypeError(f"loss={loss!r} is neither a loss, a string nor a function of (y, y_pred).")
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if reduction not in _REDUCTIONS:
        raise ValueError(
            f"loss {describe(loss)} has reduction={reduction!r}, none of {_REDUCTIONS}"
        )
    return loss


def _metric(given: Any, y_true: Any, y_pred: Any) -> tuple[str, Metric]:
    specs = [None if v is None else tf.TensorSpec(v.shape, v.dtype) for v in (y_true, y_pred)]
    metric = metrics_lib.get(given, *specs)
    return metric.name, metric


def _refuse_doubles(outputs: Sequence[Output]) -> None:
    for output in outputs:
        labels = [label for label, _, _ in output.metrics]
        twice = sorted({x for x in labels if labels.count(x) > 1} | ({"loss"} & set(labels)))
        if twice:
            raise ValueError(
                f"two reported values would be called {twice[0]!r}; give one of the metrics "
                "another name, for example SparseCategoricalAccuracy(name='weighted_accuracy')."
            )


def by_name(value: Any, output_names: Sequence[str] | None) -> dict[str, Any]:
    """A model's outputs by name; a single one is called ""."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        names_ = list(output_names or ())
        if len(names_) != len(value):
            names_ = [f"output_{i}" for i in range(len(value))]
        return dict(zip(names_, value, strict=True))
    return {"": value}


def match(value: Any, outputs: Mapping[str, Any], argument: str) -> dict[str, Any]:
    """Targets by output name.

    Raises:
        ValueError: `value` has another structure than the outputs.
    """
    keys = list(outputs)
    if value is None:
        raise ValueError(
            f"{argument} is missing: the loss compares targets with outputs, so pass fit(x, y), or "
            "data that yields (x, y) or (x, y, sample_weight)."
        )
    if keys == [""]:
        while isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        if isinstance(value, (list, tuple)) and all(np.ndim(part) == 0 for part in value):
            raise ValueError(
                f"{argument} is a {type(value).__name__} of {len(value)} numbers, and each would "
                f"be an array of its own; pass one array: np.asarray({argument})."
            )
        if isinstance(value, (list, tuple, Mapping)):
            raise ValueError(
                f"{argument} has {len(value)} parts, but the model has one output; pass one array."
            )
        return {"": value}
    if isinstance(value, Mapping):
        if missing := [k for k in keys if k not in value]:
            raise ValueError(
                f"{argument} has no entry for the outputs {missing}; it has {sorted(value)}."
            )
        return {k: value[k] for k in keys}
    if isinstance(value, (list, tuple)) and len(value) == len(keys):
        return dict(zip(keys, value, strict=True))
    raise ValueError(
        f"{argument} must have one array for each of the outputs {_names(keys)}: pass a dict with "
        "these keys, or a tuple in this order."
    )


def match_weights(sample_weight: Any, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Sample weights by output name; one array serves every output."""
    if sample_weight is None or not isinstance(sample_weight, (Mapping, list, tuple)):
        return dict.fromkeys(outputs, sample_weight)
    if isinstance(sample_weight, Mapping):
        if unknown := [k for k in sample_weight if k not in outputs]:
            raise ValueError(
                f"sample_weight has an entry for {unknown[0]!r}; the outputs are "
                f"{_names(list(outputs))}."
            )
        return {k: sample_weight.get(k) for k in outputs}
    return match(sample_weight, outputs, "sample_weight")


def describe(loss: Any) -> str:
    """A loss's name for people."""
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss)


def _is_nested(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and any(isinstance(g, (list, tuple)) for g in given)


def _last(y_pred: Any) -> int:
    return int(y_pred.shape[-1] or 0) if y_pred.shape.rank else 0


def _as_list(entries: Any) -> list[Any]:
    if entries is None:
        return []
    return list(entries) if isinstance(entries, (list, tuple)) else [entries]


def _names(keys: Sequence[str]) -> str:
    return ", ".join(repr(k) for k in keys if k) or "one, without a name"


def _near(key: Any, keys: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(key), keys, n=1)
    return f". Did you mean {close[0]!r}?" if close else "."
