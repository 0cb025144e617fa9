"""What a trainer is as an object of Python: shown in a line, neither copied nor pickled."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from trainer import state
from trainer.compiling.choice import SAID
from trainer.supervised import Supervised


class Identity:
    """The base of `Trainer`: what makes it one of a kind."""

    def __repr__(self) -> str:
        return shown(self)

    def __deepcopy__(self, memo: Any) -> NoReturn:
        raise TypeError(f"a Trainer cannot be copied: {_WAY_OUT}")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"a Trainer cannot be pickled: {_WAY_OUT}")

    def __copy__(self) -> Any:
        """Another with the very same task and parts, for `scratch`."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin


_WAY_OUT = (
    "it holds compiled programs. Make another as you made this one, and carry over the weights "
    "(save_weights, load_weights) or all of a run (checkpoint=)."
)


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
