"""Sharded slots: each replica keeps those of some variables, and updates these for all.

Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
stage 1, shared out by whole variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import tensorflow as tf

from optimizers.variables import Roster, unwrap


class Sharded:
    """What an optimizer can do to let the replicas of a strategy share out its slots."""

    name: Any
    built: Any
    _known: Callable[[], Roster]
    _separable: Any  # whether some variables can be updated without looking at the others
    _shards: Shards | None = None

    def shard(self, strategy: Any) -> None:
        """Let each replica keep the slots of some variables, and update these alone.

        A replica then calls `spread` after every `apply`. To be called before `build`.

        Args:
            strategy: A `tf.distribute.MirroredStrategy`.

        Raises:
            ValueError: the optimizer is built, its rule looks at all variables at once, or the
                strategy is another one.

        Example:
            >>> import optimizers
            >>> optimizer = optimizers.Adam()
            >>> optimizer.shard(tf.distribute.MirroredStrategy(["CPU:0"]))
            >>> optimizer.sharded
            True
        """
        if self._shards is not None and self._shards.strategy is strategy:
            return
        if self.built:
            raise ValueError(f"{self.name} has its slots already; shard it before it is built.")
        if not self._separable:
            raise ValueError(
                f"{type(self).__name__} looks at all variables at once (it overrides update_all), "
                "so that no replica can update some of them alone."
            )
        self._shards = Shards(strategy)

    @property
    def sharded(self) -> bool:
        """Whether each replica updates only the variables whose slots it keeps."""
        return self._shards is not None

    def spread(self, variables: Sequence[Any]) -> None:
        """Give all replicas what each has updated; all call it, outside of loops and of XLA.

        Args:
            variables: Those of `apply`.
        """
        if self._shards is not None:
            found = [unwrap(v) for v in variables]
            self._shards.spread([(self._known().index(v), v) for v in found])

    def _mine(self, index: int) -> bool:
        """Whether the running replica updates a variable."""
        return self._shards is None or self._shards.mine(index)

    def _share_out(self, variables: Sequence[tf.Variable]) -> None:
        if self._shards is not None:
            self._shards.take(variables)

    def _kept_by_owner(self, index: int) -> AbstractContextManager[Any]:
        """What the slots of a variable are made in."""
        return nullcontext() if self._shards is None else self._shards.at(index)


class Shards:
    """Who keeps the slots of which variable.

    Args:
        strategy: A `tf.distribute.MirroredStrategy`, whose replicas share one process.

    Attributes:
        strategy: The strategy.
        owners: The replica of each variable, in the order in which they were taken.

    Raises:
        ValueError: it is another strategy.
    """

    def __init__(self, strategy: Any):
        if not isinstance(strategy, tf.distribute.MirroredStrategy):
            raise ValueError(
                f"strategy is a {type(strategy).__name__}: slots are shared out only over the "
                "devices of one process, by a tf.distribute.MirroredStrategy, as a checkpoint must "
                "see all of them."
            )
        self.strategy = strategy
        self.owners: list[int] = []
        self._devices = strategy.extended.worker_devices
        self._held = [0] * len(self._devices)  # numbers

    def take(self, variables: Sequence[tf.Variable]) -> None:
        """Give each variable an owner: the largest first, to whoever holds least."""
        found = dict.fromkeys(range(len(variables)), 0)
        for i in sorted(found, key=lambda i: -variables[i].shape.num_elements()):
            found[i] = min(range(len(self._held)), key=lambda r: self._held[r])
            self._held[found[i]] += variables[i].shape.num_elements()
        self.owners += found.values()

    @contextmanager
    def at(self, index: int) -> Iterator[None]:
        """While open, variables are made once, on the device of one variable's owner."""
        from tensorflow.python.distribute import numpy_dataset  # no public name

        place = numpy_dataset.SingleDevice(self._devices[self.owners[index]])

        def here(next_creator: Any, **kwargs: Any) -> tf.Variable:
            variable = next_creator(**{**kwargs, "colocate_with": place})
            variable.distribute_strategy = self.strategy  # as its other variables say
            return variable

        with self.strategy.scope(), tf.variable_creator_scope(here):
            yield

    def mine(self, index: int) -> bool:
        """Whether the running replica keeps a variable's slots; outside of replicas, all are."""
        context = tf.distribute.get_replica_context()
        if context is None or context.strategy is not self.strategy:
            return True
        return tf.get_static_value(context.replica_id_in_sync_group) == self.owners[index]

    def spread(self, variables: Sequence[tuple[int, tf.Variable]]) -> None:
        """Copy (index, variable) from its owner to the other replicas; all of them must call it."""

        def copy(strategy: Any) -> None:
            for index, variable in variables:
                copies = strategy.experimental_local_results(variable)
                value = copies[self.owners[index]].read_value()
                for i, other in enumerate(copies):
                    if i != self.owners[index]:
                        with tf.device(other.device):
                            other.assign(value, read_value=False)

        tf.distribute.get_replica_context().merge_call(copy)
