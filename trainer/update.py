"""One exact update: gradients and counts are added as sums over parts, and divided once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer import state
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
    """

    gradients: list[Any]
    variables: list[Any]
    loss: Sums
    extras: dict[str, Any]
    has_extras: bool
    unreached: list[str]


def accumulate(
    loss_fn: Callable[[Any], Any],
    batch: Any,
    variables: Sequence[Any],
    parts: int,
    seeds: Seeds,
) -> Update:
    """Gradients of the mean loss over `batch`, taken in `parts` parts.

    A loss is a list of terms with counts of their own. The gradient of the sum of their means is
    sum_j (sum_parts dT_j/dw) / (sum_parts N_j), so one gradient is kept per distinct count.
    """
    variables = list(variables)
    if not variables:
        raise ValueError(
            "minimize got no variables: there is nothing to train. Check that the model has "
            "trainable variables (none is frozen by `trainable = False`) and is built."
        )
    tensors = [state.as_tf(v) for v in variables]
    shape: dict[str, Any] = {}

    def one(part: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch(tensors)
            terms, extras, shape["has_extras"] = read_loss(loss_fn(part))
            groups = by_count(terms)
        grads = [tape.gradient(group.total, tensors) for group in groups]
        del tape
        return grads, groups, extras

    grads, groups, extras = _over_parts(one, batch, parts, seeds)
    merged = [_mean_gradient(per_group, groups) for per_group in zip(*grads, strict=True)]
    unreached = [state.name_of(v) for v, g in zip(variables, merged, strict=True) if g is None]
    if len(unreached) == len(variables):
        raise ValueError(
            f"no gradient reaches any of the {len(variables)} variables ({', '.join(unreached[:5])}"
            "...): the loss does not depend on them. Compute it from the model's output with "
            "differentiable operations, inside loss_fn."
        )
    return Update(merged, variables, as_one(groups), extras, shape["has_extras"], unreached)


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


def _mean_gradient(per_group: Sequence[Any], groups: Sequence[Sums]) -> Any:
    means = [
        _scale(g, tf.math.reciprocal_no_nan(tf.cast(s.count, tf.float32)))
        for g, s in zip(per_group, groups, strict=True)
        if g is not None
    ]
    if len(means) < 2:
        return means[0] if means else None
    return tf.add_n([tf.convert_to_tensor(m) for m in means])


def _scale(gradient: Any, factor: tf.Tensor) -> Any:
    if isinstance(gradient, tf.IndexedSlices):
        values = gradient.values * tf.cast(factor, gradient.dtype)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return gradient * tf.cast(factor, gradient.dtype)


def _over_parts(
    one: Callable[[Any], Any], batch: Any, parts: int, seeds: Seeds
) -> tuple[Any, Any, Any]:
    """Adds `one(part)` over the parts of a batch; the last part may be shorter."""
    if parts == 1:
        return one(batch)
    rows = _rows(batch)
    part_rows = -(-rows // parts)
    whole, rest = divmod(rows, part_rows)
    stacked = _map_rows(
        lambda x: tf.reshape(x[: whole * part_rows], [whole, part_rows, *x.shape[1:]]), batch
    )
    with seeds.part(0):
        first = one(_map_rows(lambda x: x[0], stacked))
    # None, and sparse gradients (dense from here on), keep their places outside the loop.
    flat = [None if x is None else tf.convert_to_tensor(x) for x in tf.nest.flatten(first)]

    def more(part: Any, index: Any, sums: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        with seeds.part(index):
            new = tf.nest.flatten(one(part))
        present = [tf.convert_to_tensor(x) for x in new if x is not None]
        return [a + b for a, b in zip(sums, present, strict=True)]

    sums = [x for x in flat if x is not None]
    if whole > 1:
        _, *sums = tf.while_loop(
            lambda i, *_: i < whole,
            lambda i, *s: (i + 1, *more(_map_rows(lambda x: tf.gather(x, i), stacked), i, s)),
            [tf.constant(1), *sums],
            parallel_iterations=1,
        )
    if rest:
        sums = more(_map_rows(lambda x: x[whole * part_rows :], batch), whole, sums)
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


def global_norm(gradients: Sequence[Any]) -> tf.Tensor:
    """The norm of all gradients together, float32.

    XLA on CPU adds the numbers of one array one after the other, which can double a small step;
    halving the array again and again keeps every addition a vectorised one.
    """
    squares = [_sum_of_squares(_values(g)) for g in gradients if g is not None]
    return tf.sqrt(tf.add_n(squares))


def _values(gradient: Any) -> tf.Tensor:
    # Rows that occur twice in a sparse gradient must be added before they are squared.
    return tf.cast(tf.reshape(tf.convert_to_tensor(gradient), [-1]), tf.float32)


def _sum_of_squares(x: tf.Tensor) -> tf.Tensor:
    x = tf.square(x)
    odd = []
    size = x.shape[0]
    while size is not None and size > 64:
        half = size // 2
        if size % 2:
            odd.append(x[-1])
        x = x[:half] + x[half : 2 * half]
        size = half
    return tf.add_n([tf.reduce_sum(x), *odd])
