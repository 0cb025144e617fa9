"""One exact update: gradients and counts are added as sums over parts, and divided once.

Its stages, in the order of `accumulate`: the tape of each part, its loss scaled where a precision
needs it; gradients and counts added over the parts, then over replicas; are the sums finite; scale
and count divided out at once. What is done with the result stands in `StepContext.minimize`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer import gradients, state
from trainer.distribution.replica import ALONE, Replica
from trainer.random import Seeds
from trainer.sums import Sums


class Update(NamedTuple):
    """What an optimizer needs, and what the step reports.

    Attributes:
        gradients: of the mean loss, one per variable; None where no gradient arrives.
        variables: in the form the optimizer was given them.
        loss: `Sums` over the whole batch.
        extras: dict of further sums over the whole batch.
        has_extras: whether the loss function returned extras.
        unreached: names of the variables without a gradient.
        finite: whether every gradient is, a bool scalar; None where no scale was given.
        sums: the gradients before scale and count were divided out, a list per distinct count.
        origin: values that the variables go back to if the update is left out; None: they have
            not moved.
    """

    gradients: list[Any]
    variables: list[Any]
    loss: Sums
    extras: dict[str, Any]
    has_extras: bool
    unreached: list[str]
    finite: tf.Tensor | None
    sums: list[list[Any]]
    origin: list[tf.Tensor] | None = None


def compiled(fn: Callable[[], Any], by_xla: bool) -> Any:
    """Calls a function; by XLA where that compiles what lies between exchanges of replicas."""
    if not by_xla:
        return fn()
    try:
        return tf.function(fn, jit_compile=True, autograph=False)()
    except RuntimeError as error:
        if "merge_call" not in str(error):
            raise
        raise ValueError(
            "jit='step' compiles each replica's gradients by XLA, and the model exchanges values "
            "with other replicas amid them (ctx.sum, ctx.gather, a synchronized "
            "BatchNormalization): use jit=False."
        ) from error


def accumulate(
    loss_fn: Callable[[Any], Any],
    batch: Any,
    variables: Sequence[Any],
    parts: int,
    seeds: Seeds,
    *,
    scale: tf.Tensor | None = None,
    replica: Replica = ALONE,
    by_xla: bool = False,
) -> Update:
    """Gradients of the mean loss over `batch`, taken in `parts` parts.

    A loss is a list of terms with counts of their own. The gradient of the sum of their means is
    sum_j (sum_parts dT_j/dw) / (sum_parts N_j), so one gradient is kept per distinct count.

    Args:
        loss_fn: as `StepContext.minimize` takes it.
        batch: a nest of tensors.
        variables: to differentiate by.
        parts: into how many parts the batch is split by rows.
        seeds: whose numbering each part shares.
        scale: what the loss is multiplied by while gradients are taken, a float32 scalar; then
            the update says whether they are finite.
        replica: adds the sums, gradients per distinct count and those counts, over replicas.
        by_xla: whether XLA compiles the gradients of each of several replicas by themselves, which
            then exchange nothing amid them.
    """
    variables = list(variables)
    if not variables:
        raise ValueError(
            "minimize got no variables: there is nothing to train. Check that the model has "
            "trainable variables (none is frozen by `trainable = False`) and is built."
        )
    tensors = [state.as_tf(v) for v in variables]
    shape: dict[str, Any] = {}

    def one(part: Any, alone: bool = False) -> tuple[Any, Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch(tensors)
            terms, extras, shape["has_extras"] = read_loss(loss_fn(part))
            groups = by_count(terms)
        if scale is None:
            grads = [tape.gradient(group.total, tensors) for group in groups]
        else:
            counts = replica.in_all([group.count for group in groups], not (by_xla or alone))
            grads = [
                _scaled(tape, group.total, tensors, scale, count)
                for group, count in zip(groups, counts, strict=True)
            ]
        del tape
        return grads, groups, extras

    grads, groups, extras = compiled(lambda: _over_parts(one, batch, parts, seeds, replica), by_xla)
    unreached = [
        state.name_of(variable)
        for variable, *found in zip(variables, *grads, strict=True)
        if all(g is None for g in found)
    ]
    if len(unreached) == len(variables):
        raise ValueError(
            f"no gradient reaches any of the {len(variables)} variables ({', '.join(unreached[:5])}"
            "...): the loss does not depend on them. Compute it from the model's output with "
            "differentiable operations, inside loss_fn."
        )
    grads, groups = replica.add_gradients(grads, groups)
    finite = None if scale is None else gradients.all_finite([g for group in grads for g in group])
    factors = [_one_over(group.count, scale) for group in groups]
    merged = [_mean_gradient(per_group, factors) for per_group in zip(*grads, strict=True)]
    loss = as_one(groups)
    return Update(merged, variables, loss, extras, shape["has_extras"], unreached, finite, grads)


def read_loss(result: Any) -> tuple[list[Sums], dict[str, Any], bool]:
    """Reads what a loss function returned as (terms, extras, whether extras were returned)."""
    extras: dict[str, Any] = {}
    has_extras = (
        isinstance(result, tuple)
        and not isinstance(result, Sums)
        and len(result) == 2
        and isinstance(result[1], Mapping)
    )
    if has_extras:
        result, extras = result[0], dict(result[1])
    if isinstance(result, Mapping):
        terms = [_as_sums(v, f"loss[{k!r}]") for k, v in result.items()]
    elif isinstance(result, (list, tuple)) and not isinstance(result, Sums):
        terms = [_as_sums(v, f"loss[{i}]") for i, v in enumerate(result)]
    else:
        terms = [_as_sums(result, "the loss")]
    if not terms:
        raise ValueError("loss_fn returned no loss: return one value per example, [batch].")
    return terms, extras, has_extras


def _as_sums(value: Any, what: str) -> Sums:
    if isinstance(value, Sums):
        return value
    if value is None:
        raise TypeError(f"{what} is None: return one value per example, [batch], from loss_fn.")
    value = tf.convert_to_tensor(value)
    if value.shape.rank == 0:
        raise ValueError(
            f"{what} is one number for the whole batch; return one value per example, [batch] "
            "(no tf.reduce_mean over the batch), or Sums(total, count). Parts and replicas then "
            "add exactly."
        )
    if not value.dtype.is_floating:
        raise TypeError(f"{what} has dtype {value.dtype.name}; a loss must be floating.")
    return Sums.of(value)


def as_one(terms: Sequence[Sums]) -> Sums:
    """The sum of the terms' means, as one `Sums` that weighs what the first term weighs."""
    if len(terms) == 1:
        return terms[0]
    mean = tf.add_n([t.value for t in terms])
    return Sums(mean * terms[0].count, terms[0].count)


def by_count(terms: Sequence[Sums]) -> list[Sums]:
    """Adds the terms that share a count (the very same tensor)."""
    groups: dict[int, Sums] = {}
    for term in terms:
        key = id(term.count)
        old = groups.get(key)
        groups[key] = Sums(old.total + term.total, old.count) if old else term
    return list(groups.values())


def _scaled(
    tape: tf.GradientTape, total: Any, tensors: Sequence[Any], scale: tf.Tensor, count: tf.Tensor
) -> list[Any]:
    """The gradients of a part's total, times the scale.

    What flows back under a scale is that of the part's mean, as in Keras: the total's would be as
    many times larger as there are examples, and overflow so much sooner. The count is multiplied
    in again where gradients have reached the float32 of the variables.
    """
    grads = tape.gradient(total, tensors, output_gradients=scale * _one_over(count))
    return [None if g is None else gradients.scaled(g, count) for g in grads]


def _one_over(count: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
    """1 / (count scale), and 0 where nothing was counted."""
    factor = tf.math.reciprocal_no_nan(tf.cast(count, tf.float32))
    return factor if scale is None else factor / scale


def _mean_gradient(per_group: Sequence[Any], factors: Sequence[tf.Tensor]) -> Any:
    means = [
        gradients.scaled(g, factor)
        for g, factor in zip(per_group, factors, strict=True)
        if g is not None
    ]
    if len(means) < 2:
        return means[0] if means else None
    return tf.add_n([tf.convert_to_tensor(m) for m in means])


def _over_parts(
    one: Callable[..., Any], batch: Any, parts: int, seeds: Seeds, replica: Replica
) -> tuple[Any, Any, Any]:
    """Adds `one(part)` over the parts of a batch; the last part may be shorter.

    In a loop it is `one(part, alone=True)`: replicas can exchange nothing there, so where
    something must be, the loop fails and is unrolled.
    """
    if parts == 1:
        return one(batch)
    part_rows, whole, rest = replica.cut(_rows(batch), parts)
    stacked = _map_rows(
        lambda x: tf.reshape(x[: whole * part_rows], [whole, part_rows, *x.shape[1:]]), batch
    )
    with seeds.part(0, replica.numbers(part_rows)), replica.part(0):
        first = one(_map_rows(lambda x: x[0], stacked))
    # None, and sparse gradients (dense from here on), keep their places outside the loop.
    flat = [None if x is None else tf.convert_to_tensor(x) for x in tf.nest.flatten(first)]

    def more(
        part: Any, index: Any, kind: int, sums: Sequence[tf.Tensor], alone: bool = False
    ) -> list[tf.Tensor]:
        numbers = replica.numbers(rest if kind else part_rows, index, kind, part_rows)
        with seeds.part(index, numbers), replica.part(kind):
            new = tf.nest.flatten(one(part, alone))
        present = [tf.convert_to_tensor(x) for x in new if x is not None]
        return [a + b for a, b in zip(sums, present, strict=True)]

    sums = [x for x in flat if x is not None]

    def turn(i: Any, *sums: tf.Tensor, alone: bool = True) -> tuple[Any, ...]:
        return i + 1, *more(_map_rows(lambda x: tf.gather(x, i), stacked), i, 0, sums, alone)

    if whole > 1:
        try:
            _, *sums = tf.while_loop(
                lambda i, *_: i < whole,
                turn,
                [tf.constant(1), *sums],
                parallel_iterations=1,
            )
        except RuntimeError as error:
            if "merge_call" not in str(error):
                raise
            for i in range(1, whole):
                _, *sums = turn(i, *sums, alone=False)
    if rest:
        sums = more(_map_rows(lambda x: x[whole * part_rows :], batch), whole, -1, sums)
    seeds.parts_done()
    added = iter(sums)
    return tf.nest.pack_sequence_as(first, [None if x is None else next(added) for x in flat])


def _rows(batch: Any) -> int:
    sizes = {x.shape[0] for x in tf.nest.flatten(batch) if x.shape.rank}
    if len(sizes) != 1 or None in sizes:
        raise ValueError(
            f"accumulation splits a batch by rows, but its tensors have {sorted(map(str, sizes))} "
            "rows; every tensor that has axes must have the examples along the first."
        )
    return sizes.pop()


def _map_rows(fn: Callable[[tf.Tensor], tf.Tensor], batch: Any) -> Any:
    return tf.nest.map_structure(lambda x: fn(x) if x.shape.rank else x, batch)
