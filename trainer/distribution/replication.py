"""Replication: a strategy, and what it does not say of how replicas train together."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Replication:
    """How replicas train together, where a strategy alone does not say: `Trainer(strategy=...)`.

    Args:
        strategy: a `tf.distribute.Strategy`, or None as for the trainer.
        gradients: the dtype in which large gradients travel: "float32", or "bfloat16" for half the
            bytes. Each replica's gradient is then rounded to 8 bits, and so is each of the
            additions: an error of at most N / 256 of the sum of what N replicas add.
        seeds: "replica": random layers draw for a replica's rows at once, others on each. Or
            "example": for each row by its number in the batch, so that it is dropped alike
            however many replicas and parts a batch is shared by.
        slots: "replica": each keeps all of the optimizer's slots. Or "sharded" (experimental):
            each keeps those of its share of the variables and updates these for all, as ZeRO's
            first stage does; of one process, with an optimizer of ours, or `Groups` of them,
            around which is no other.

    Example:
        >>> Replication(tf.distribute.OneDeviceStrategy("CPU:0"), gradients="bfloat16").gradients
        'bfloat16'
    """

    strategy: Any = None
    gradients: str = "float32"
    seeds: str = "replica"
    slots: str = "replica"

    def __post_init__(self) -> None:
        if self.slots not in ("replica", "sharded"):
            raise ValueError(f"Replication(slots={self.slots!r}): it is 'replica' or 'sharded'.")
        if self.seeds not in ("replica", "example"):
            raise ValueError(f"Replication(seeds={self.seeds!r}): it is 'replica' or 'example'.")
        if self.gradients not in ("float32", "bfloat16"):
            raise ValueError(
                f"Replication(gradients={self.gradients!r}): it is 'float32' or 'bfloat16' "
                "(float16 would overflow where gradients are added)."
            )
