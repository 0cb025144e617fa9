"""Replica: one of those that share a batch, and what it does together with the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import tensorflow as tf

from trainer import state

_SMALL = 1024  # numbers


class Replica:
    """The running replica, and what it does together with the others.

    Args:
        count: how many replicas there are.
        index: which one this is, from 0; a scalar tensor where all are traced as one.
        split: how the batch is shared out.
        travel: the dtype in which gradients are sent; None: as they are.
    """

    def __init__(
        self,
        count: int = 1,
        index: int | tf.Tensor = 0,
        split: Split | None = None,
        travel: tf.DType | None = None,
    ) -> None:
        self.count, self.index = count, index
        self._parts = split.parts if split else ()
        self._travel = travel
        self._part: int | None = None

    @property
    def shares(self) -> bool:
        """Whether this replica has only a part of the rows."""
        return bool(self._parts)

    def cut(self, rows: int, parts: int) -> tuple[int, int, int]:
        """How so many rows are taken in parts: (rows of a part, such parts, rows that are left)."""
        own = [self._own(sizes) for sizes in self._parts]
        if len(own) > 1 and rows == sum(own):
            whole = self._parts.count(self._parts[0])
            return own[0], whole, sum(own[whole:])
        each = -(-rows // parts)
        return each, *divmod(rows, each)

    def numbers(self, rows: int, part: Any = 0, kind: int = 0, each: int = 0) -> tf.Tensor:
        """The numbers, within the whole batch, of the rows at hand: int32 `[rows]`.

        Args:
            rows: how many they are.
            part: which part of the batch they are.
            kind: 0 for a full part, -1 for the short one at the end.
            each: rows of a full part here.
        """
        if len(self._parts) > 1:
            first = part * sum(self._parts[0]) + self._before(self._parts[kind])
        else:
            own = self._before(self._parts[0]) if self._parts else 0
            first = own + part * each
        return tf.cast(first, tf.int32) + tf.range(rows)

    @contextmanager
    def part(self, number: int) -> Iterator[None]:
        """While open, this part of the batch is at hand, and `gather` gathers its rows."""
        before, self._part = self._part, number
        try:
            yield
        finally:
            self._part = before

    def add_gradients(self, gradients: Any, counts: Any) -> tuple[Any, Any]:
        """Gradients and counts, added as by `sum`; large dense gradients in the dtype they travel.

        Sparse ones, short ones and counts are sent as they are.
        """
        if self._travel is None or self.count == 1:
            return self.sum((gradients, counts))

        def packed(g: Any) -> Any:
            light = g is None or isinstance(g, tf.IndexedSlices) or _is_small(g)
            return g if light or g.dtype != tf.float32 else tf.cast(g, self._travel)

        def unpacked(g: Any, like: Any) -> Any:
            return g if g is None or isinstance(g, tf.IndexedSlices) else tf.cast(g, like.dtype)

        flat = tf.nest.flatten(gradients)
        added, counts = self.sum(([packed(g) for g in flat], counts))
        back = [unpacked(g, like) for g, like in zip(added, flat, strict=True)]
        return tf.nest.pack_sequence_as(gradients, back), counts

    def sum(self, tree: Any) -> Any:
        """A nest of tensors added over the replicas' shares, the same on each; differentiable.

        None stays None. Where each replica has the whole batch, it is the sum over one of them.
        """
        if self.count == 1:
            return tree
        every = tf.nest.flatten(tree)
        flat = [x for x in every if x is not None]
        small = [i for i, x in enumerate(flat) if _is_small(x)]
        packs: dict[tf.DType, list[int]] = {}
        for i in small:
            packs.setdefault(flat[i].dtype, []).append(i)
        packed = [_pack([flat[i] for i in members]) for members in packs.values()]
        large = [i for i in range(len(flat)) if i not in small]
        reduced = self._all_reduce([*packed, *(flat[i] for i in large)])
        found = dict(zip(large, reduced[len(packed) :], strict=True))
        for vector, members in zip(reduced, packs.values(), strict=False):
            parts = _unpack(vector, [flat[i].shape for i in members])
            found.update(zip(members, parts, strict=True))
        left = iter(found[i] for i in range(len(flat)))
        return tf.nest.pack_sequence_as(tree, [None if x is None else next(left) for x in every])

    def in_all(self, counts: list[tf.Tensor], exchange: bool) -> list[tf.Tensor]:
        """The counts of the rows at hand on all replicas; about so many where none can be heard.

        Gradients that flow from one replica to another (through statistics of a batch, candidates
        that were gathered) must have been divided by the same on both. Where replicas exchange
        nothing amid them, that does not matter.
        """
        if not self.shares:
            return counts
        return self.sum(counts) if exchange else [self.count * count for count in counts]

    @property
    def first_row(self) -> int | tf.Tensor:
        """The row of what `gather` gives at which this replica's own begin."""
        at_hand = self._at_hand()
        if len(at_hand) > 1:
            raise ValueError(
                "ctx.first_row: the batch is taken in parts, each shared out by itself, so that a "
                "replica's rows of it are not in one piece; ask within loss_fn, for the part's."
            )
        return self._before(at_hand[0]) if at_hand else 0

    def gather(self, x: tf.Tensor) -> tf.Tensor:
        """The rows of all replicas in the order of the batch; gradients flow back to their owner.

        Args:
            x: `[m, ...]`, where m is this replica's rows of the batch, or of the part at hand.
        """
        parts = self._at_hand()
        if not parts:
            return x
        own = [self._own(sizes) for sizes in parts]
        if x.shape[0] != sum(own):
            raise ValueError(
                f"ctx.gather takes one row for each of this replica's examples, [{sum(own)}, ...], "
                f"and got shape {x.shape}. Gather before rows are selected, and several views of "
                "the examples one by one; where a step takes its batch in parts, each must have at "
                "least as many rows as there are replicas."
            )
        # Zeros where others have rows: added, and differentiated, this is a gather.
        spans = tf.split(x, own) if len(own) > 1 else [x]
        padded = [_among(x, sizes, self.index) for x, sizes in zip(spans, parts, strict=True)]
        return self._all_reduce([tf.concat(padded, 0) if len(padded) > 1 else padded[0]])[0]

    def _own(self, sizes: Sequence[int]) -> int:
        """This replica's rows, of so many that each has."""
        return sizes[self.index] if isinstance(self.index, int) else sizes[0]  # all alike

    def _before(self, sizes: Sequence[int]) -> int | tf.Tensor:
        """The rows of the replicas before this one."""
        return sum(sizes[: self.index]) if isinstance(self.index, int) else self.index * sizes[0]

    def _at_hand(self) -> Sequence[Sequence[int]]:
        """Rows of each replica, of the part at hand or of all parts of the batch."""
        whole = self._part is None or len(self._parts) < 2
        return self._parts if whole else [self._parts[self._part]]  # type: ignore[index]

    def all_rows(self, x: tf.Tensor) -> tf.Tensor:
        """As `gather`, of any dtype and without gradients, for a batch in one part."""
        if not self.shares:
            return x
        gathered = tf.distribute.get_replica_context().all_gather(x, axis=0)
        return tf.ensure_shape(gathered, [sum(self._parts[0]), *x.shape[1:]])

    def share(self, tree: Any) -> Any:
        """This replica's equal share of numbers that all of them have: `sum` gives them back."""
        if not self.shares:
            return tree
        return tf.nest.map_structure(lambda x: x / self.count, tree)

    def update(self, optimizer: Any, fn: Callable[[Any, Any], Any], result: Any) -> Any:
        """`fn(optimizer, result)`, where `result` is the same on all replicas.

        An optimizer that says `updates_own_copies` (ours do) runs on every replica, on its own
        copies, or where it is `sharded` on those whose slots it keeps, which are spread then; any
        other runs once, outside of the replicas, and what it assigns goes to all.

        Args:
            optimizer: updates `result.variables`.
            fn: changes variables; gives a tensor or None.
            result: an `Update`.
        """
        own = getattr(optimizer, "updates_own_copies", False)
        if own or not any(_distributed(v) for v in result.variables):
            done = fn(optimizer, result)
            if getattr(optimizer, "sharded", False):
                optimizer.spread(result.variables)
            return done
        variables = result.variables

        def once(strategy: Any, result: Any) -> Any:
            first = tf.nest.map_structure(
                lambda x: strategy.experimental_local_results(x)[0], result
            )
            return fn(optimizer, first._replace(variables=variables))

        context = tf.distribute.get_replica_context()
        return context.merge_call(once, args=(result._replace(variables=[]),))

    def _all_reduce(self, tensors: list[Any]) -> list[Any]:
        """The sum over replicas that share the rows; of those that all have them, the mean."""
        context = tf.distribute.get_replica_context()
        found: list[Any] = [None] * len(tensors)
        # TensorFlow keeps int32 on the host, and takes a list only where all of it is in one place.
        for on_host in (False, True):
            members = [i for i, x in enumerate(tensors) if (x.dtype == tf.int32) == on_host]
            if members:
                added = context.all_reduce(
                    tf.distribute.ReduceOp.SUM, [tensors[i] for i in members]
                )
                for i, value in zip(members, added, strict=True):
                    found[i] = value if self.shares else _divided(value, self.count)
        return found


ALONE = Replica()


class Split(NamedTuple):
    """How the rows of a batch are shared out, in order and as evenly as they go.

    A batch that is taken in parts is shared out part by part, so that what depends on the rows of
    a part (statistics of a batch, candidates of a contrastive loss) sees those it sees on one
    device. Parts with fewer rows than replicas cannot be: a full batch is then shared as one. The
    short batch that ends an epoch is computed whole by each replica then, and also if it has
    fewer rows than there are replicas: none ever computes on nothing. So is a short batch that
    replicas that are traced as one, with one shape for all of them, cannot share evenly.

    Attributes:
        parts: rows of each replica, for each part; empty where each has the whole batch.
    """

    parts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, batch: Any, count: int, parts: int = 1, full: float = 0, even: bool = False
    ) -> Split:
        """The split of a batch over so many replicas; full batches have `full` rows.

        Raises:
            ValueError: with `even`, a full batch cannot be shared evenly.
        """
        return cls.of_rows(rows_of(batch), count, parts, full, even)

    @classmethod
    def of_rows(
        cls, rows: int, count: int, parts: int = 1, full: float = 0, even: bool = False
    ) -> Split:
        """As `of`, for a batch of so many rows."""
        if count == 1 or rows < count:
            return cls(())
        if even and rows % (count * parts):
            if rows < full:
                return cls(())
            raise ValueError(
                f"a batch of {rows} rows{f' in {parts} parts' if parts > 1 else ''} cannot be "
                f"shared evenly by {count} replicas, which are one program with one shape; give "
                f"batches whose rows {count * parts} divides (the last of an epoch may be shorter)."
            )
        part = -(-rows // parts)
        sizes = [part] * (rows // part) + [rows % part] * (rows % part > 0)
        if min(sizes) < count:
            if rows < full:
                return cls(())
            sizes = [rows]
        return cls(tuple(_evenly(size, count) for size in sizes))

    def spans(self, index: int) -> list[tuple[int, int]]:
        """Where one replica's rows of each part begin and end."""
        found, first = [], 0
        for sizes in self.parts:
            begin = first + sum(sizes[:index])
            found.append((begin, begin + sizes[index]))
            first += sum(sizes)
        return found

    def take(self, batch: Any, index: int) -> Any:
        """One replica's share of a batch."""
        if not self.parts:
            return batch
        spans = self.spans(index)

        def rows(x: tf.Tensor) -> tf.Tensor:
            if not x.shape.rank:
                return x
            if len(spans) == 1:
                return x[spans[0][0] : spans[0][1]]
            return tf.concat([x[begin:end] for begin, end in spans], 0)

        return tf.nest.map_structure(rows, batch)


def rows_of(batch: Any) -> int:
    """How many rows a batch has, the same in all of its tensors."""
    found = {x.shape[0] for x in tf.nest.flatten(batch) if x.shape.rank}
    if len(found) != 1 or None in found:
        raise ValueError(
            f"replicas share a batch by rows, but its tensors have {sorted(map(str, found))} "
            "rows; every tensor that has axes must have the examples along the first."
        )
    return found.pop()


def _evenly(rows: int, count: int) -> tuple[int, ...]:
    each, more = divmod(rows, count)
    return tuple(each + (i < more) for i in range(count))


def _divided(x: Any, count: int) -> Any:
    """One of so many equal terms of a sum."""
    if isinstance(x, tf.IndexedSlices):
        return tf.IndexedSlices(_divided(x.values, count), x.indices, x.dense_shape)
    return x // count if x.dtype.is_integer else x / count


def _among(x: tf.Tensor, sizes: Sequence[int], index: int | tf.Tensor) -> tf.Tensor:
    """A replica's rows between zeros where those of the others are."""
    if not isinstance(index, int):
        mine = tf.equal(tf.range(len(sizes)), index)
        mine = tf.reshape(mine, [len(sizes)] + [1] * x.shape.rank)
        return tf.reshape(tf.where(mine, x, tf.zeros_like(x)), [sum(sizes), *x.shape[1:]])
    around = [sum(sizes[:index]), sum(sizes[index + 1 :])]
    return tf.pad(x, [around] + [[0, 0]] * (x.shape.rank - 1))


def own(variable: Any) -> tf.Variable:
    """The running replica's copy of a variable; itself where there is one, or outside replicas.

    Replicas that are traced as one reach their copies by the variable itself.
    """
    context = tf.distribute.get_replica_context()
    if context is None or not _distributed(variable):
        return variable
    index = tf.get_static_value(context.replica_id_in_sync_group)
    if index is None:
        return variable
    local = variable.distribute_strategy.experimental_local_results(variable)
    return local[int(index) % len(local)]


def _distributed(variable: Any) -> bool:
    return hasattr(state.as_tf(variable), "distribute_strategy")


def _is_small(x: Any) -> bool:
    """Whether a tensor travels best in one vector with others."""
    if isinstance(x, tf.IndexedSlices) or not x.shape.is_fully_defined():
        return False
    return x.shape.num_elements() <= _SMALL


def _pack(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(x, [-1]) for x in tensors], 0)


def _unpack(vector: tf.Tensor, shapes: Sequence[tf.TensorShape]) -> list[tf.Tensor]:
    parts = tf.split(vector, [shape.num_elements() for shape in shapes])
    return [tf.reshape(x, shape) for x, shape in zip(parts, shapes, strict=True)]
