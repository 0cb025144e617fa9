"""tf.distribute behind a few functions: a batch is split by rows, every replica runs the step.

What a step reports are sums, so what the replicas report is added up; gradients and counts are
added before they are used (`update`). Nothing else knows of strategies.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.distribution import adoption
from trainer.distribution.replica import ALONE, Replica, Split
from trainer.distribution.replication import Replication

TRACED_AS_ONE = (tf.distribute.TPUStrategy, tf.distribute.experimental.TPUStrategy)


class Replicas:
    """The replicas of a strategy.

    Args:
        strategy: a `tf.distribute.Strategy` or a `Replication`; None: the strategy whose scope is
            open, or one device.

    Raises:
        TypeError: it is neither.
        ValueError: it is a strategy that cannot be exact, or none in one of several workers.

    Attributes:
        count: replicas that train together, over all workers.
        as_one: whether they are traced as one program, which their device compiles (TPU); the
            number of a replica is a tensor then, and all have as many rows.
        spread: whether steps go through the strategy at all.
        workers: processes that train together.
        worker: which of them this is; 0 is the chief.
        given: what a `Replication` says beside its strategy.
        by_example: whether random layers draw for each row by its number.
        exchanged: when all workers last heard of each other (`time.monotonic`).
    """

    def __init__(self, strategy: Any = None) -> None:
        self._travel: tf.DType | None = None
        self.by_example = self._shards = False
        self.given = {"gradients": "float32", "seeds": "replica", "slots": "replica"}
        if isinstance(strategy, Replication):
            self.given = {name: getattr(strategy, name) for name in self.given}
            self._shards = strategy.slots == "sharded"
            self.by_example = strategy.seeds == "example"
            self._travel = tf.bfloat16 if strategy.gradients == "bfloat16" else None
            strategy = strategy.strategy
        if strategy is None:
            strategy = tf.distribute.get_strategy()
            if strategy is _default_strategy():
                check_alone(os.environ.get("TF_CONFIG", ""))
        if not isinstance(strategy, tf.distribute.Strategy):
            raise TypeError(
                f"strategy={strategy!r} is a {type(strategy).__name__}; it must be a "
                "tf.distribute.Strategy, for example tf.distribute.MirroredStrategy()."
            )
        _check_kind(strategy)
        self.strategy = strategy
        self.count: int = strategy.num_replicas_in_sync
        plain = strategy is _default_strategy() or isinstance(
            strategy, tf.distribute.OneDeviceStrategy
        )
        self.spread = not plain
        self.as_one = isinstance(strategy, TRACED_AS_ONE)
        if self.as_one and self._shards:
            raise ValueError(
                "Replication(slots='sharded') with a TPUStrategy: its replicas are one program, "
                "which cannot keep other slots on each; leave slots='replica'."
            )
        self._local = len(strategy.extended.worker_devices) if self.spread else 1
        self.workers = self.count // self._local
        self.worker = worker_index(strategy)
        self._first = self.worker * self._local
        self.exchanged = time.monotonic()
        self._exchange: Any = None

    @property
    def chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Where variables are to be created."""
        if self.strategy is _default_strategy():
            return nullcontext()
        return self.strategy.scope()

    def adopt(self, root: Any) -> None:
        """Gives each replica its copy of what was made outside the strategy; see `adoption`."""
        if self.spread:
            adoption.adopt(root, self.strategy, self.by_example)
        if self._shards and self.count > 1:
            adoption.shard(root, self.strategy)

    def spread_step(
        self,
        step: Callable[[Any, Any, Replica], Any],
        stop: tf.Variable,
        parts: int = 1,
        full: Callable[[], float] = lambda: 0,
    ) -> Callable[[Any, Any], Any]:
        """Makes a step of the whole batch from a step of a replica's share of it.

        Args:
            step: `step(batch, number, replica) -> StepOutput`, with sums of the share alone.
            stop: what each worker says of ending the call.
            parts: into how many parts the step takes a batch.
            full: gives the rows of a full batch, which has to be shared; infinity where none has.

        Returns:
            `step(batch, number) -> StepOutput` for graph code outside of replicas: sums over the
            batch, scalars of the first replica, outputs in the order of the rows.
        """
        if not self.spread:
            return lambda batch, number: step(batch, number, ALONE)

        def run(batch: Any, number: Any) -> Any:
            split = Split.of(batch, self.count, parts, full(), even=self.as_one)

            def one(share: Any) -> Any:
                replica = self._replica(split)
                out = step(share, number, replica)
                if self.workers == 1:
                    return out._replace(sums=replica.sum(out.sums))
                # The wish of one worker is everybody's, in the same exchange as the sums.
                wish = tf.cast(stop.read_value(), tf.float32)
                sums, wishes = replica.sum((out.sums, wish))
                rows = tf.nest.map_structure(replica.all_rows, out.outputs)
                return out._replace(sums=sums, outputs=rows, stop=wishes > 0)

            out = self.strategy.run(one, args=(self._shares(batch, split),))
            whole = self.workers > 1 or not split.parts
            return type(out)(
                tf.nest.map_structure(self._first_of, out.sums),
                tf.nest.map_structure(self._first_of, out.scalars),
                tf.nest.map_structure(self._first_of if whole else self._rows_of, out.outputs),
                None if out.stop is None else self._first_of(out.stop),
            )

        return run

    def rows(self, batch_rows: int, parts: int, full: int) -> list[tuple[int, int]]:
        """Which rows of a batch this worker reads, as spans; see `Split.of`."""
        if self.workers == 1:
            return [(0, batch_rows)]
        split = Split.of_rows(batch_rows, self.count, parts, full)
        own = range(self._first, self._first + self._local)
        return [
            split.spans(own[0])[i][:1] + split.spans(own[-1])[i][1:]  # neighbours
            for i in range(len(split.parts))
        ] or [(0, batch_rows)]

    def agree(self, *values: float) -> np.ndarray:
        """What every worker says, `[workers, n]`: a small exchange that all must enter."""
        if self.workers == 1:
            return np.array([values], np.float64)
        if self._exchange is None:
            self._exchange = tf.function(self._table, autograph=False)
        width = 8 if len(values) <= 8 else -(-len(values) // 1024) * 1024  # traced for few widths
        own = np.zeros([self.workers, width])
        own[self.worker, : len(values)] = values
        said = self._exchange(tf.constant(own)).numpy()[:, : len(values)]
        self.exchanged = time.monotonic()
        return said

    def fewest(self, n: int, end: float = math.inf) -> int:
        """How many steps all workers can make: the fewest that any can.

        Args:
            n: how many this one can.
            end: after how many the data ends, where that is known.

        Raises:
            ValueError: the data ends for some of them, and not for the others.
        """
        if self.workers == 1:
            return n
        said = self.agree(n, end)
        fewest = int(said[:, 0].min())
        check_ends(said[:, 1] <= fewest)
        return fewest

    def _table(self, own: tf.Tensor) -> tf.Tensor:
        def one() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = int(tf.get_static_value(context.replica_id_in_sync_group)) == self._first
            said = tf.identity(own) if first else tf.zeros_like(own)  # on this device
            return context.all_reduce(tf.distribute.ReduceOp.SUM, said)

        return self._first_of(self.strategy.run(one))

    def _shares(self, batch: Any, split: Split) -> Any:
        """A batch with the rows of each replica of this worker."""
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: split.take(batch, context.replica_id_in_sync_group)
        )

    def _replica(self, split: Split) -> Replica:
        if self.count == 1:
            return ALONE
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        if not self.as_one:
            index = int(tf.get_static_value(index))
        return Replica(self.count, index, split, self._travel)

    def _first_of(self, value: Any) -> Any:
        return self.strategy.experimental_local_results(value)[0]

    def _rows_of(self, value: Any) -> Any:
        return tf.concat(self.strategy.experimental_local_results(value), 0)


def _check_kind(strategy: tf.distribute.Strategy) -> None:
    """Refuses all strategies but those that are known to be exact."""
    kinds = (
        tf.distribute.OneDeviceStrategy,
        tf.distribute.MirroredStrategy,
        tf.distribute.MultiWorkerMirroredStrategy,
        *TRACED_AS_ONE,
    )
    if strategy is _default_strategy() or isinstance(strategy, kinds):
        return
    name = type(strategy).__name__
    why = "is not known to be exact"
    if "ParameterServer" in name:
        why = "makes updates again when a worker is lost, so that no run is exact"
    raise ValueError(
        f"strategy is a {name}, which {why}; use MirroredStrategy, MultiWorkerMirroredStrategy, "
        "TPUStrategy or OneDeviceStrategy."
    )


def check_ends(ended: np.ndarray) -> None:
    """Refuses data that ends for some workers alone, `[workers]` of whom say whether it does.

    Raises:
        ValueError: it ends for some, and not for the others.
    """
    if ended.any() and not ended.all():
        raise ValueError(
            f"the data ends on worker {', '.join(map(str, np.flatnonzero(ended)))} before it does "
            f"on worker {', '.join(map(str, np.flatnonzero(~ended)))}. Give every worker all of "
            "the data, the same batches in the same order: each takes its own rows of every batch."
        )


def check_alone(tf_config: str) -> None:
    """Refuses to train without a strategy in one of several workers.

    Args:
        tf_config: JSON, as the variable TF_CONFIG has it; empty where it is not set.

    Raises:
        ValueError: it names several workers, of which this is one.

    Example:
        >>> check_alone('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    """
    told = json.loads(tf_config or "{}")
    cluster = told.get("cluster", {})
    places = [*cluster.get("chief", []), *cluster.get("worker", [])]
    if len(places) > 1 and told.get("task", {}).get("type") in ("chief", "worker"):
        raise ValueError(
            f"TF_CONFIG says that this is one of {len(places)} workers ({', '.join(places[:4])}"
            f"{', ...' if len(places) > 4 else ''}), and Trainer got no strategy: each would train "
            "by itself, on all of the data, and write the same files. Make strategy = "
            "tf.distribute.MultiWorkerMirroredStrategy() first of all and pass Trainer(..., "
            "strategy=strategy), or unset TF_CONFIG to train in this process alone."
        )


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


def _has_workers(strategy: Any) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _default_strategy() -> Any:
    """The strategy of who uses none."""
    from tensorflow.python.distribute import distribute_lib  # no public name

    return distribute_lib._get_default_strategy()
