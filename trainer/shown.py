"""What a trainer is, in a line, for whoever prints it."""

from __future__ import annotations

import math
from typing import Any

from trainer import state
from trainer.compiling.choice import SAID
from trainer.supervised import Supervised


def shown(trainer: Any) -> str:
    """What is trained, its size and optimizer, how far it is, and how it computes.

    The size is that of all trainable weights; variables are made by the first data, so there may be
    none yet. How it is compiled is known once it has trained.
    """
    task = trainer.task
    root = task.model if isinstance(task, Supervised) else task
    weights = state.trainable_variables(root)
    count = sum(math.prod(state.as_tf(weight).shape) for weight in weights)
    optimizers = [type(one).__name__ for one in state.optimizers(task).values()]
    facts = [
        type(root).__name__,
        f"{count:,} trainable parameters" if weights else "not built yet",
        *dict.fromkeys(optimizers),
        f"step {trainer.step:,}",
        f"epoch {trainer.epoch:,}",
    ]
    if "train" in trainer.programs.choices:
        facts.append(SAID[trainer.programs.choices["train"].mode])
    if trainer.precision is not None:
        facts.append(f"in {trainer.precision.compute_dtype}")
    return f"Trainer({', '.join(facts)})"
