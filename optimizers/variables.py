"""Variables as optimizers see them: Keras's, distributed ones, their names, and who is who."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf


def unwrap(variable: Any) -> tf.Variable:
    """The `tf.Variable` inside a Keras variable, or the variable itself.

    Raises:
        TypeError: `variable` is neither.
    """
    if isinstance(variable, tf.Variable):
        return variable
    inner = getattr(variable, "value", None)
    if isinstance(inner, tf.Variable):
        return inner
    raise TypeError(
        f"variables holds {type(variable).__name__} {variable!r}: only tf.Variable and Keras "
        "variables can be updated."
    )


def name_of(variable: Any) -> str:
    """The variable's name with its scopes, "dense/kernel"; a Keras variable's path."""
    return str(getattr(variable, "path", variable.name)).split(":")[0]


def local(variable: tf.Variable) -> tf.Variable:
    """The copy of a distributed variable that the running replica owns; others as they are.

    Every replica then updates its own copy with the same (already reduced) gradients, which needs
    no merge of the replicas and so works inside loops and XLA. Outside a replica a distributed
    variable stays whole: assigning to it updates all copies.
    """
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1 or tf.distribute.in_cross_replica_context():
        return variable
    copies = strategy.experimental_local_results(variable)
    if len(copies) == 1:
        return copies[0]
    context = tf.distribute.get_replica_context()
    replica = tf.get_static_value(context.replica_id_in_sync_group)
    if replica is None:
        raise ValueError(
            f"{strategy} does not tell which replica runs: apply gradients outside `strategy.run`."
        )
    return copies[int(replica) % len(copies)]


def has_handle(variable: tf.Variable) -> bool:
    """Whether a kernel can update the variable in place (not a distributed one as a whole)."""
    return not hasattr(variable, "values") and variable.dtype in (tf.float32, tf.float64)


class Roster:
    """The variables an optimizer was built for. A plain object, so that it is not tracked."""

    def __init__(
        self,
        owner: str,
        variables: list[Any],
        undecayed: list[tf.Variable],
        patterns: list[str],
    ):
        self.owner = owner
        self.variables = [unwrap(v) for v in variables]
        self.names = [name_of(v) for v in variables]
        self._index = {v.ref(): i for i, v in enumerate(self.variables)}
        if not variables:
            raise ValueError("variables is empty: nothing to update. Build the model first.")
        if len(self._index) != len(variables):
            raise ValueError("variables names the same variable twice: give each once.")
        names = self.names
        for pattern in patterns:
            if not any(re.search(pattern, name) for name in names):
                raise ValueError(
                    f"exclude_from_weight_decay: {pattern!r} is found in no variable name; "
                    f"the names are {names[:20]}."
                )
        spared = {self.index(v) for v in undecayed}
        spared |= {i for i, n in enumerate(names) for p in patterns if re.search(p, n)}
        self.decays = [i not in spared for i in range(len(variables))]

    def index(self, variable: Any) -> int:
        """The position of a variable.

        Raises:
            ValueError: the optimizer was not built for it.
        """
        variable = unwrap(variable)
        try:
            return self._index[variable.ref()]
        except KeyError:
            raise ValueError(
                f"{self.owner} was built for {len(self.variables)} variables, and "
                f"{name_of(variable)!r} of shape {variable.shape} is not among them: build it once "
                "with every variable it will update, or use a second optimizer."
            ) from None
