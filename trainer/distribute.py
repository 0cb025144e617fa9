"""tf.distribute behind a few functions: a batch is split by rows, every replica runs the step.

What a step reports are sums, so what the replicas report is added up; gradients and counts are
added before they are used (`update`). Nothing else knows of strategies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import state

_SMALL = 1024  # numbers


class Replica:
    """The running replica, and what it does together with the others.

    Args:
        count: how many replicas there are.
        index: which one this is, from 0: an int, or a tensor where one trace serves all.
        sizes: rows of each replica's share of the batch; None where each has the whole batch.
        options: how gradients travel.
    """

    def __init__(
        self,
        count: int = 1,
        index: Any = 0,
        sizes: Sequence[int] | None = None,
        options: Any = None,
    ) -> None:
        self.count, self.index, self.sizes = count, index, sizes
        self._options = options

    @property
    def shares(self) -> bool:
        """Whether this replica has only a part of the rows."""
        return self.sizes is not None

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

    def gather(self, x: tf.Tensor) -> tf.Tensor:
        """The rows of all replicas in the order of the batch; gradients flow back to their owner.

        Args:
            x: `[m, ...]`, where m is this replica's rows, or a multiple of them.
        """
        if self.sizes is None:
            return x
        own, rows = self.sizes[self.index], x.shape[0]
        if not own or rows is None or rows % own:
            raise ValueError(
                f"ctx.gather takes rows of the replica's own share, [{own}, ...] or a multiple of "
                f"them, and got shape {x.shape}. Gather inside the step, before rows are selected."
            )
        times = rows // own
        before = times * sum(self.sizes[: self.index])
        after = times * sum(self.sizes) - before - rows
        # Zeros where others have rows: added, and differentiated, this is a gather.
        padded = tf.pad(x, [[before, after]] + [[0, 0]] * (x.shape.rank - 1))
        return self._all_reduce([padded])[0]

    def all_rows(self, x: tf.Tensor) -> tf.Tensor:
        """As `gather`, of any dtype and without gradients."""
        if self.sizes is None:
            return x
        gathered = tf.distribute.get_replica_context().all_gather(x, axis=0)
        return tf.ensure_shape(gathered, [sum(self.sizes), *x.shape[1:]])

    def share(self, tree: Any) -> Any:
        """This replica's equal share of numbers that all of them have: `sum` gives them back."""
        if not self.shares:
            return tree
        return tf.nest.map_structure(lambda x: x / self.count, tree)

    def update(self, optimizer: Any, fn: Callable[[Any, Any], Any], result: Any) -> Any:
        """`fn(optimizer, result)`, where `result` is the same on all replicas.

        An optimizer that says `updates_own_copies` (ours do) runs on every replica, on its own
        copies; any other runs once, outside of the replicas, and what it assigns goes to all.

        Args:
            optimizer: updates `result.variables`.
            fn: changes variables; gives a tensor or None.
            result: an `Update`.
        """
        own = getattr(optimizer, "updates_own_copies", False)
        if own or not any(_distributed(v) for v in result.variables):
            return fn(optimizer, result)
        variables = result.variables

        def once(strategy: Any, result: Any) -> Any:
            first = tf.nest.map_structure(
                lambda x: strategy.experimental_local_results(x)[0], result
            )
            return fn(optimizer, first._replace(variables=variables))

        context = tf.distribute.get_replica_context()
        return context.merge_call(once, args=(result._replace(variables=[]),))

    def _all_reduce(self, tensors: list[Any]) -> list[Any]:
        if not tensors:
            return []
        op = tf.distribute.ReduceOp.SUM if self.shares else tf.distribute.ReduceOp.MEAN
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(op, tensors, self._options))


ALONE = Replica()


class Replicas:
    """The replicas of a strategy.

    Args:
        strategy: a `tf.distribute.Strategy`; None: the one whose scope is open, or one device.

    Attributes:
        count: replicas that train together, over all workers.
        spread: whether steps go through the strategy at all.
        workers: processes that train together.
        worker: which of them this is; 0 is the chief.
    """

    def __init__(self, strategy: Any = None) -> None:
        if strategy is None:
            strategy = tf.distribute.get_strategy()
        if not isinstance(strategy, tf.distribute.Strategy):
            raise TypeError(
                f"strategy={strategy!r} is a {type(strategy).__name__}; it must be a "
                "tf.distribute.Strategy, for example tf.distribute.MirroredStrategy()."
            )
        if isinstance(strategy, tf.distribute.ParameterServerStrategy):
            raise ValueError(
                "strategy is a ParameterServerStrategy, which makes updates again when a worker is "
                "lost, so that no run is exact; use MirroredStrategy, MultiWorkerMirroredStrategy "
                "or TPUStrategy."
            )
        self.strategy = strategy
        self.count: int = strategy.num_replicas_in_sync
        plain = strategy is _default_strategy() or isinstance(
            strategy, tf.distribute.OneDeviceStrategy
        )
        self.spread = not plain
        self._local = len(strategy.extended.worker_devices) if self.spread else 1
        self.workers = self.count // self._local
        self.worker = worker_index(strategy)
        self._first = self.worker * self._local
        self._exchange: Any = None

    def scope(self) -> AbstractContextManager[Any]:
        """Where variables are to be created."""
        if self.strategy is _default_strategy():
            return nullcontext()
        return self.strategy.scope()

    def adopt(self, root: Any) -> None:
        """Gives each replica its copy of the variables that were made outside the strategy.

        They are replaced where `root` holds them; values, names and settings stay.

        Raises:
            ValueError: an optimizer has been built for them already, or they are of a kind that
                replicas cannot share.
        """
        if not self.spread:
            return
        for path, node in state.walk(root):
            if isinstance(node, tf.random.Generator):
                raise ValueError(
                    f"{path} is a tf.random.Generator, whose state replicas cannot share; draw "
                    "with tf.random.stateless_* and ctx.seed()."
                )
            if state.is_optimizer(node) and getattr(node, "built", False) is True:
                self._refuse_built(path, node)
        with self.strategy.scope():
            state.replace(root, lambda v: v if self._owns(v) else _mirrored(v))
        for path, variable in state.variables(root).items():
            _check_kind(path, variable)

    def _refuse_built(self, path: str, optimizer: Any) -> None:
        if not all(self._owns(v) for v in state.variables(optimizer).values()):
            raise ValueError(
                f"the optimizer at {path!r} was built outside the strategy, for variables that "
                "live on one device. Make model and optimizer inside `with strategy.scope():`, or "
                "pass an optimizer that is not built yet and load its state from a checkpoint."
            )

    def _owns(self, variable: tf.Variable) -> bool:
        return getattr(variable, "distribute_strategy", None) is self.strategy

    def spread_step(
        self, step: Callable[[Any, Any, Replica], Any], stop: tf.Variable
    ) -> Callable[[Any, Any], Any]:
        """Makes a step of the whole batch from a step of a replica's share of it.

        Args:
            step: `step(batch, number, replica) -> StepOutput`, with sums of the share alone.
            stop: what each worker says of ending the call.

        Returns:
            `step(batch, number) -> StepOutput` for graph code outside of replicas: sums over the
            batch, scalars of the first replica, outputs in the order of the rows.
        """
        if not self.spread:
            return lambda batch, number: step(batch, number, ALONE)

        def run(batch: Any, number: Any) -> Any:
            split = Split.of(batch, self.count)
            shares = [split.take(batch, self._first + i) for i in range(self._local)]

            def one() -> Any:
                replica = self._replica(split)
                out = step(shares[replica.index - self._first], number, replica)
                if self.workers == 1:
                    return out._replace(sums=replica.sum(out.sums))
                # The wish of one worker is everybody's, in the same exchange as the sums.
                wish = tf.cast(stop.read_value(), tf.float32)
                sums, wishes = replica.sum((out.sums, wish))
                rows = tf.nest.map_structure(replica.all_rows, out.outputs)
                return out._replace(sums=sums, outputs=rows, stop=wishes > 0)

            out = self.strategy.run(one)
            whole = self.workers > 1 or split.sizes is None
            return type(out)(
                tf.nest.map_structure(self._first_of, out.sums),
                tf.nest.map_structure(self._first_of, out.scalars),
                tf.nest.map_structure(self._first_of if whole else self._rows_of, out.outputs),
                None if out.stop is None else self._first_of(out.stop),
            )

        return run

    def agree(self, *values: float) -> np.ndarray:
        """What every worker says, `[workers, n]`: a small exchange that all must enter."""
        if self.workers == 1:
            return np.array([values], np.float64)
        if self._exchange is None:
            self._exchange = tf.function(self._table, autograph=False)
        own = np.zeros([self.workers, len(values)])
        own[self.worker] = values
        return self._exchange(tf.constant(own)).numpy()

    def fewest(self, n: int) -> int:
        """The smallest number that any worker says."""
        return n if self.workers == 1 else int(self.agree(n).min())

    def _table(self, own: tf.Tensor) -> tf.Tensor:
        def one() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = int(tf.get_static_value(context.replica_id_in_sync_group)) == self._first
            said = tf.identity(own) if first else tf.zeros_like(own)  # on this device
            return context.all_reduce(tf.distribute.ReduceOp.SUM, said)

        return self._first_of(self.strategy.run(one))

    def _replica(self, split: Split) -> Replica:
        if self.count == 1:
            return ALONE
        context = tf.distribute.get_replica_context()
        index = tf.get_static_value(context.replica_id_in_sync_group)
        return Replica(self.count, int(index), split.sizes)

    def _first_of(self, value: Any) -> Any:
        return self.strategy.experimental_local_results(value)[0]

    def _rows_of(self, value: Any) -> Any:
        return tf.concat(self.strategy.experimental_local_results(value), 0)


class Split(NamedTuple):
    """How the rows of a batch are shared out: in order, as evenly as they go.

    A batch with fewer rows than replicas (the end of an epoch) is computed whole by each of them,
    so that no replica ever computes on nothing; their means are then the sums.

    Attributes:
        sizes: rows of each replica; None where each takes them all.
    """

    sizes: tuple[int, ...] | None

    @classmethod
    def of(cls, batch: Any, count: int) -> Split:
        """The split of a batch over so many replicas."""
        rows = {x.shape[0] for x in tf.nest.flatten(batch) if x.shape.rank}
        if len(rows) != 1 or None in rows:
            raise ValueError(
                f"replicas share a batch by rows, but its tensors have {sorted(map(str, rows))} "
                "rows; every tensor that has axes must have the examples along the first."
            )
        each, more = divmod(rows.pop(), count)
        if count == 1 or not each:
            return cls(None)
        return cls(tuple(each + (i < more) for i in range(count)))

    def take(self, batch: Any, index: int) -> Any:
        """One replica's share of a batch."""
        if self.sizes is None:
            return batch
        first = sum(self.sizes[:index])
        stop = first + self.sizes[index]
        return tf.nest.map_structure(lambda x: x[first:stop] if x.shape.rank else x, batch)


def worker_index(strategy: Any) -> int:
    """Which of several worker processes this is; 0 where there is one."""
    resolver = strategy.cluster_resolver if _has_workers(strategy) else None
    if resolver is None or not resolver.cluster_spec().as_dict():
        return 0
    chiefs = len(resolver.cluster_spec().as_dict().get("chief", []))
    return int(resolver.task_id) + (chiefs if resolver.task_type == "worker" else 0)


def copies(variable: Any) -> list[tf.Variable]:
    """A variable, and its copies on this worker's replicas."""
    return [variable, *getattr(variable, "values", ())]


def own(variable: Any) -> tf.Variable:
    """The running replica's copy of a variable; itself where there is one, or outside replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or not _distributed(variable):
        return variable
    local = variable.distribute_strategy.experimental_local_results(variable)
    index = tf.get_static_value(context.replica_id_in_sync_group)
    return local[int(index) % len(local)]


def _distributed(variable: Any) -> bool:
    return hasattr(state.as_tf(variable), "distribute_strategy")


def _has_workers(strategy: Any) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _default_strategy() -> Any:
    """The strategy of who uses none."""
    from tensorflow.python.distribute import distribute_lib  # no public name

    return distribute_lib._get_default_strategy()


def _mirrored(variable: tf.Variable) -> tf.Variable:
    """The same variable once more, as the open scope makes variables."""
    return tf.Variable(
        variable.read_value(),
        trainable=variable.trainable,
        name=variable.name.removesuffix(":0"),
        dtype=variable.dtype,
        shape=variable.shape,
        synchronization=variable.synchronization,
        aggregation=variable.aggregation,
    )


def _check_kind(path: str, variable: tf.Variable) -> None:
    summed = variable.aggregation == tf.VariableAggregation.SUM
    if summed and variable.synchronization == tf.VariableSynchronization.ON_READ:
        raise ValueError(
            f"the variable {path!r} is kept by each replica and added when read: a checkpoint "
            "would restore another number (13 over two replicas becomes 12). Report sums from the "
            "step in place of counting in a variable, or use VariableAggregation.MEAN."
        )


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
