"""The doctor's checks of the model and its loss, at the weights it starts from."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import state
from trainer.inspect.findings import Finding
from trainer.inspect.patient import Minimized, Patient, name_of, same
from trainer.inspect.watch import Call, tensors
from trainer.objective import loss_sums, match, match_weights
from trainer.random import Seeds, handed
from trainer.supervised import Supervised, takes_training, unpack

_FAR, _TOO_FAR = 2.5, 5.0  # times chance: worth a look, and surely wrong


# The initial loss.


def initial_loss(patient: Patient, trained: int) -> Finding:
    """Against what a model that knows nothing would have."""
    name = "initial loss"
    losses = [float(m.loss.value) for m in patient.minimized(patient.batch)]
    said = ", ".join(f"{x:.4g}" for x in losses)
    if not all(map(math.isfinite, losses)):
        return Finding(
            name, "fail", f"the loss is {said}", "see what takes a log, a root or a quotient of 0"
        )
    if trained:
        return Finding(name, "skip", f"{said}; the model was trained for {trained} steps already")
    chance = _chance(patient)
    if chance is None:
        return Finding(name, "skip", f"{said}; what chance gives is known for a model with a loss")
    ratio = losses[0] / chance if chance > 1e-12 else 1.0
    said = f"{said}, where knowing nothing gives {chance:.4g}"
    if ratio < _FAR:
        return Finding(name, "pass", said)
    return Finding(
        name,
        "warn" if ratio < _TOO_FAR else "fail",
        f"{said}: {ratio:.3g} times as much",
        "scale the inputs (mean 0, deviation 1) and, for a regression, the targets; start the last "
        "layer from small weights",
    )


def _chance(patient: Patient) -> float | None:
    """The loss of even odds, or for a regression of the targets' mean."""
    task = patient.task
    if not isinstance(task, Supervised):
        return None
    _, y, weight = unpack(patient.batch)
    named = match(y, {o.name: None for o in task.objective.outputs}, "y")
    weights = match_weights(weight, named)
    outputs = task.call(unpack(patient.batch)[0], training=False)
    found = 0.0
    for output in task.objective.outputs:
        if output.loss is None:
            continue
        y_true = named[output.name]
        y_pred = outputs if not output.name else _pick(outputs, output.name, task)
        guess = _know_nothing(output.loss, y_true, y_pred)
        sums, _ = loss_sums(output.loss, y_true, guess, weights[output.name])
        found += output.loss_weight * float(sums.value)
    return found if math.isfinite(found) else None


def _pick(outputs: Any, name: str, task: Supervised) -> Any:
    if isinstance(outputs, dict):
        return outputs[name]
    return outputs[[o.name for o in task.objective.outputs].index(name)]


def _know_nothing(loss: Any, y_true: Any, y_pred: Any) -> tf.Tensor:
    """A prediction without knowledge: even odds, or the mean target."""
    from_logits = getattr(loss, "from_logits", None)
    name = str(getattr(loss, "name", "") or getattr(loss, "__name__", "")).lower()
    if from_logits is None and "crossentropy" not in name:
        mean = tf.reduce_mean(tf.cast(y_true, y_pred.dtype), axis=0)
        if mean.shape != y_pred.shape[1:]:
            mean = tf.reduce_mean(mean)
        return tf.zeros_like(y_pred) + mean
    if from_logits:
        return tf.zeros_like(y_pred)
    odds = 0.5 if "binary" in name or y_pred.shape[-1] == 1 else 1.0 / y_pred.shape[-1]
    return tf.zeros_like(y_pred) + tf.cast(odds, y_pred.dtype)


# Gradients.


def silent(patient: Patient, minimized: Sequence[Minimized]) -> tuple[dict[str, str], set[str]]:
    """Variable -> what is wrong with its gradient, and the names of all that were looked at."""
    wrong: dict[str, str] = {}
    seen: set[str] = set()
    for call in minimized:
        for variable, gradient in zip(call.variables, call.gradients, strict=True):
            name = name_of(patient.task, variable)
            seen.add(name)
            if gradient is None:
                wrong[name] = "none reaches it"
                continue
            values = tf.convert_to_tensor(gradient).numpy().astype(np.float32)
            if not np.isfinite(values).all():
                wrong[name] = "not finite"
            elif not np.any(values):
                wrong[name] = "all zero"
    return wrong, seen


def gradients(patient: Patient, before: dict[str, str], after: dict[str, str]) -> Finding:
    """Each trainable variable has a gradient that is finite and not zero.

    Args:
        patient: the task.
        before: what was wrong at the start, of `silent`.
        after: what was wrong after some updates: a layer that starts from zeros keeps those before
            it without gradient at first, and only then.
    """
    name = "gradients"
    wrong = {k: v for k, v in before.items() if k in after or v == "not finite"}
    own = [name_of(patient.task, v) for v in state.trainable_variables(patient.task)]
    if wrong:
        listing = ", ".join(f"{k} ({v})" for k, v in list(wrong.items())[:4])
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        return Finding(
            name,
            "fail",
            f"{len(wrong)} of {len(own)} trainable variables do not learn: {listing}{more}",
            "none: is the layer used, is there a stop_gradient, a cast to int, an argmax? zero: "
            "dead units (a bias far below 0, a saturated activation)?",
        )
    return Finding(name, "pass", f"finite and not zero for all {len(own)} trainable variables")


def forgotten(patient: Patient, seen: set[str]) -> str:
    """Trainable variables that no `minimize` was handed, as a listing; "" if none."""
    own = [name_of(patient.task, v) for v in state.trainable_variables(patient.task)]
    left = [name for name in own if name not in seen]
    return ", ".join(left[:4]) + (f" and {len(left) - 4} more" if len(left) > 4 else "")


# One example's loss and the other examples.


def independent(patient: Patient) -> Finding:
    """No example's loss depends on another example."""
    name = "examples apart"
    batch = patient.take(8)
    rows = int(tf.nest.flatten(batch)[0].shape[0])
    if rows < 3:
        return Finding(name, "skip", f"{rows} rows are too few to tell")
    keep, over_batch = rows // 2, set()

    def before(path: str, module: Any, args: Any, kwargs: Any) -> Any:
        if not _normalizes_batches(module):
            return args, kwargs
        over_batch.add(path)
        return _with_training(module, args, kwargs, False) if _takes(module) else (args, kwargs)

    runs = [
        patient.watched("train", b, before=before) for b in (batch, patient.other_rows(batch, keep))
    ]
    outside = ""
    if over_batch:
        outside = f"(outside {', '.join(sorted(over_batch))}, which normalizes over the batch)"
    leak = parting(runs[0][0].calls, runs[1][0].calls, rows, keep)
    way = "an axis that is the batch's (axis=0, a reshape, a transpose) is mixed there"
    if leak is not None:
        said = f"what {leak.title} gives for an example depends on the other examples"
        return Finding(name, "fail", f"{said} {outside}".rstrip(), way)
    if _loss_mixes(patient, batch, keep, before):
        return Finding(
            name,
            "fail",
            "the layers keep examples apart, but the loss of one depends on the others",
            "shapes that broadcast, [b] against [b, 1]? For a contrastive loss it is meant: "
            "skip=['examples apart']",
        )
    return Finding(name, "pass", f"no example's loss depends on another {outside}".rstrip())


def _loss_mixes(patient: Patient, batch: Any, keep: int, before: Any) -> bool:
    """Whether the summed loss is more than a sum over rows, by a mixed second difference.

    With A the first rows and B the others, L(A, B) - L(A', B) - L(A, B') + L(A', B') is 0 for any
    sum over rows, whatever dropout draws, as that is the same for the same shape.
    """
    new_b = patient.other_rows(batch, keep)
    new_a = tf.nest.map_structure(_first_rows_from_last(keep), batch)
    both = tf.nest.map_structure(_first_rows_from_last(keep), new_b, batch)
    totals = []
    for b in (batch, new_a, new_b, both):
        _, minimized = patient.watched("train", b, before=before)
        totals.append([float(m.loss.total) for m in minimized])
    for base, a, b, ab in zip(*totals, strict=True):
        mixed = abs(base - a - b + ab)
        if mixed > 1e-3 * max(abs(base - a), abs(base - b)) + 1e-5 * abs(base):
            return True
    return False


def _first_rows_from_last(keep: int) -> Any:
    def replaced(x: Any, source: Any = None) -> Any:
        if not x.shape.rank:
            return x
        last = (x if source is None else source)[-1:]
        return tf.concat([tf.repeat(last, keep, axis=0), x[keep:]], 0)

    return replaced


def parting(a: Sequence[Call], b: Sequence[Call], rows: int, keep: int) -> Call | None:
    """The first call whose output differs in the first `keep` rows though its inputs do not."""
    for one, other in zip(a, b, strict=False):
        if one.path != other.path:
            return None
        inputs = [_heads(tensors((c.args, c.kwargs)), rows, keep) for c in (one, other)]
        outputs = [_heads(tensors(c.output), rows, keep) for c in (one, other)]
        if _all_same(*inputs) and not _all_same(*outputs):
            return one
    return None


def _heads(found: Sequence[Any], rows: int, keep: int) -> list[np.ndarray]:
    """The first `keep` of `rows` examples of each tensor, where the first axis holds them.

    What has another first axis is compared whole.
    """
    heads = []
    for x in found:
        size = x.shape[0] if len(x.shape) else 0
        heads.append(np.asarray(x[: keep * (size // rows)] if size and size % rows == 0 else x))
    return heads


def _all_same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))


def _normalizes_batches(module: Any) -> bool:
    names = [base.__name__.lower() for base in type(module).__mro__]
    return any("batch" in name and "norm" in name for name in names)


# Training and inference.


def modes(patient: Patient) -> Finding:
    """Layers that train otherwise than they infer are told which, and inference is a function."""
    name = "modes"
    batch = patient.take(8)
    rows = int(tf.nest.flatten(batch)[0].shape[0])
    odd = _odd_in_inference(patient, batch, rows)
    if odd is not None:
        return Finding(
            name,
            "fail",
            f"in inference {odd.title} is random, or uses the batch's statistics",
            "pass training on to it; it must not be True outside training",
        )
    watch, _ = patient.watched("train", batch)
    untold: list[str] = []
    differing: list[str] = []
    for call in watch.calls:
        if call.leaf and (told := _told(patient, call)) is not None:
            (differing if told else untold).append(call.title)
    if untold:
        return Finding(
            name,
            "fail",
            f"in training {', '.join(sorted(set(untold))[:4])} runs as in inference",
            "call it with training=True there: what holds it must take `training` and pass it on",
        )
    if differing:
        listing = ", ".join(sorted(set(differing))[:4])
        return Finding(name, "pass", f"{listing} trains otherwise than it infers, as it should")
    return Finding(name, "pass", "no layer trains otherwise than it infers")


def _odd_in_inference(patient: Patient, batch: Any, rows: int) -> Call | None:
    """A layer that draws at random there, or normalizes by the batch at hand."""
    verb, keep = patient.inference, max(1, rows // 2)
    if verb is None:
        return None
    plain = patient.watched(verb, batch, number=1)[0].calls
    again = patient.watched(verb, batch, number=2)[0].calls
    if (odd := parting(plain, again, rows, rows)) is not None:
        return odd
    others = patient.watched(verb, patient.other_rows(batch, keep), number=1)[0].calls
    odd = parting(plain, others, rows, keep)
    return odd if odd is not None and _normalizes_batches(odd.module) else None


def _told(patient: Patient, call: Call) -> bool | None:
    """Whether a layer that has two modes was in the one for training; None: it has but one."""
    if not _takes(call.module):
        return None
    outputs = []
    for training in (True, False):
        args, kwargs = _with_training(call.module, call.args, call.kwargs, training)
        with handed([call.module], Seeds(1, 0).next):
            outputs.append(tensors(call.module(*args, **kwargs)))
    if _all_same(*outputs):
        return None
    return not _all_same(tensors(call.output), outputs[1])


def _takes(module: Any) -> bool:
    """Whether a module is told that it trains; the first is Keras's word for it."""
    return bool(getattr(module, "_call_has_training_arg", takes_training(module)))


def _with_training(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with `training` as told, in the place where the call had it."""
    names = list(inspect.signature(getattr(module, "call", module.__call__)).parameters)
    place = names.index("training") if "training" in names else len(args)
    if place < len(args):
        return (*args[:place], training, *args[place + 1 :]), kwargs
    return args, {**kwargs, "training": training}
