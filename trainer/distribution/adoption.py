"""Variables that were made outside a strategy are moved into it, or refused with the way out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from absl import logging

from trainer import state


def adopt(root: Any, strategy: Any, by_example: bool = False) -> None:
    """Gives each replica its copy of the variables that were made outside the strategy.

    They are replaced where `root` holds them; values, names and settings stay.

    Args:
        root: a task, or whatever holds variables as `state` finds them.
        strategy: a `tf.distribute.Strategy` that makes variables of its own kind.
        by_example: whether random layers must draw for each row by its number.

    Raises:
        ValueError: an optimizer has been built for them already, or they are of a kind that
            replicas cannot share, or belong to random layers that cannot draw by example.
    """
    for path, node in state.walk(root):
        if state.is_optimizer(node):
            _check_optimizer(path, node, strategy)
    with strategy.scope():
        state.replace(root, lambda v: v if _owns(strategy, v) else _mirrored(v))
    for path, variable in state.variables(root).items():
        _check_variable(path, variable, strategy)
    if strategy.num_replicas_in_sync > 1:
        _check_noise(root, by_example)


def shard(root: Any, strategy: Any) -> None:
    """Lets the replicas share out the slots of all optimizers below `root`.

    Raises:
        ValueError: one of them cannot, or is built.
    """
    for path, optimizer in state.optimizers(root).items():
        if not hasattr(optimizer, "shard"):
            raise ValueError(
                f"Replication(slots='sharded'): {path!r} is a {type(optimizer).__name__}, whose "
                "slots cannot be shared out; those of plain optimizers of ours can (Adam, SGD, "
                "Muon, ... and Groups of them), without another one around them. Or leave "
                "slots='replica'."
            )
        optimizer.shard(strategy)


def _check_optimizer(path: str, optimizer: Any, strategy: Any) -> None:
    count = strategy.num_replicas_in_sync
    if state.is_keras(optimizer) and count > 1:
        raise ValueError(
            f"{path!r} is Keras's {type(optimizer).__name__}, which adds gradients over the "
            f"replicas by itself, after it has clipped each one's: with {count} replicas "
            "that is another update. Use one of ours: they have the same names, arguments and "
            "rules."
        )
    built = getattr(optimizer, "built", False) is True
    if built and not all(_owns(strategy, v) for v in state.variables(optimizer).values()):
        raise ValueError(
            f"the optimizer at {path!r} was built outside the strategy, for variables that "
            "live on one device. Make model and optimizer inside `with strategy.scope():`, or "
            "pass an optimizer that is not built yet and load its state from a checkpoint."
        )


def _check_variable(path: str, variable: tf.Variable, strategy: Any) -> None:
    if not _owns(strategy, variable):
        raise ValueError(
            f"the variable {path!r} was made outside the strategy and cannot be moved into it. "
            "Make it inside `with strategy.scope():`; in place of a tf.random.Generator, draw "
            "with tf.random.stateless_* and ctx.seed()."
        )
    summed = variable.aggregation == tf.VariableAggregation.SUM
    if summed and variable.synchronization == tf.VariableSynchronization.ON_READ:
        raise ValueError(
            f"the variable {path!r} is kept by each replica and added when read: a checkpoint "
            "would restore another number (13 over two replicas becomes 12). Report sums from "
            "the step in place of counting in a variable, or use VariableAggregation.MEAN."
        )


def _check_noise(root: Any, by_example: bool) -> None:
    """Keras's random layers keep a seed of their own, which is the same on every replica."""
    found = [path for path in state.variables(root) if path.endswith("seed_generator_state")]
    if not found:
        return
    layers = ", ".join(repr(path.rpartition("/")[0]) for path in found[:5])
    what = f"Keras's random layers at {layers} draw from a seed that all replicas have alike"
    way = "use random layers of ours, or draw with tf.random.stateless_* and ctx.seed()."
    if by_example:
        raise ValueError(
            f"{what}, and not for each row by its number, as Replication(seeds='example') asks; "
            + way
        )
    logging.warning(
        "%s: the k-th rows of all replicas get the same noise, which is not that of one device; %s",
        what,
        way,
    )


def _owns(strategy: Any, variable: tf.Variable) -> bool:
    return getattr(variable, "distribute_strategy", None) is strategy


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
