"""Variables as optimizers see them: Keras's, distributed ones, their names, and who is who."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
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
    variable stays whole: assigning to it updates all copies. Replicas that are traced as one (of a
    `TPUStrategy`) reach their copies by the variable itself.
    """
    if not hasattr(variable, "values") or tf.distribute.in_cross_replica_context():
        return variable
    strategy = tf.distribute.get_strategy()
    copies = strategy.experimental_local_results(variable)
    if len(copies) == 1:
        return copies[0]
    replica = running_replica()
    return variable if replica is None else copies[replica % len(copies)]


def running_replica() -> int | None:
    """The number of the running replica; None outside of replicas, or where it is a tensor."""
    context = tf.distribute.get_replica_context()
    found = context and tf.get_static_value(context.replica_id_in_sync_group)
    return None if found is None else int(found)


def matched(grads: Sequence[Any], variables: Sequence[Any]) -> list[tuple[Any, tf.Variable]]:
    """(gradient, variable) of the variables that have a gradient.

    Raises:
        ValueError: the lengths differ, or every gradient is None.
    """
    grads = list(grads)
    if len(grads) != len(variables):
        raise ValueError(f"{len(grads)} grads for {len(variables)} variables: give one each.")
    pairs = [(g, unwrap(v)) for g, v in zip(grads, variables, strict=True) if g is not None]
    if not pairs:
        raise ValueError(
            "every gradient is None: the loss does not depend on these variables "
            f"({[name_of(v) for v in variables[:5]]}...). Compute it inside the tape."
        )
    return pairs


def computing(dtype: tf.DType) -> tf.DType:
    """The dtype in which variables of a dtype are updated: at least float32.

    16 bits would round a beta_2 of 0.999 to 1, and lose most of what a mean moves by.
    """
    return tf.float32 if dtype.size < 4 else dtype


def has_handle(variable: tf.Variable) -> bool:
    """Whether a kernel can update the variable in place (not a distributed one as a whole)."""
    return not hasattr(variable, "values") and variable.dtype in (tf.float32, tf.float64)


def found_in(pattern: str, names: Sequence[str], argument: str) -> list[int]:
    """Positions of the names in which a regular expression is found.

    Raises:
        ValueError: it is no regular expression, or found in none; tells which names come near.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{argument}: {pattern!r} is no regular expression: {error}.") from None
    found = [i for i, name in enumerate(names) if expression.search(name)]
    if not found:
        raise ValueError(
            f"{argument}: {pattern!r} is found in no variable name; {near(pattern, names)}"
        )
    return found


def near(pattern: str, names: Sequence[str]) -> str:
    """The names that come near a pattern, as the end of a sentence."""
    plain = re.sub(r"[^\w/]+", "", pattern)
    parts = {part: name for name in names for part in (name, *name.split("/"))}
    close = difflib.get_close_matches(plain, parts, n=3, cutoff=0.6)
    hint = " or ".join(dict.fromkeys(repr(parts[c]) for c in close))
    some = list(dict.fromkeys(names))[:20]
    return f"did you mean {hint}? The names are {some}." if hint else f"the names are {some}."


class Roster:
    """The variables an optimizer was built for. A plain object, so that it is not tracked.

    Attributes:
        variables: The `tf.Variable`s.
        names: Their names.
        decays: Whether each is decayed.
        factors: By what each one's learning rate is multiplied.
        constraints: What each one goes through after an update: a callable, or None.
    """

    def __init__(self, owner: str, variables: Sequence[Any]):
        self.owner = owner
        self.variables: list[tf.Variable] = []
        self.names: list[str] = []
        self.decays: list[bool] = []
        self.factors: list[float] = []
        self.constraints: list[Callable | None] = []
        self._index: dict[Any, int] = {}
        if not variables:
            raise ValueError("variables is empty: nothing to update. Build the model first.")
        self.add(variables)

    def add(self, variables: Sequence[Any]) -> None:
        """Take further variables in."""
        for v in variables:
            inner = unwrap(v)
            if inner.ref() in self._index:
                raise ValueError(
                    f"variables names the same variable twice: {name_of(v)!r}; give each once."
                )
            self._index[inner.ref()] = len(self.variables)
            self.variables.append(inner)
            self.names.append(name_of(v))
            self.decays.append(True)
            self.factors.append(1.0)
            self.constraints.append(getattr(v, "constraint", None))

    def select(
        self, var_list: Iterable[Any], var_names: Iterable[str], argument: str, first: int = 0
    ) -> set[int]:
        """Positions, from `first` on, of variables in the list or with a pattern in their names."""
        chosen = {self.index(v) for v in var_list}
        for pattern in var_names:
            chosen.update(found_in(pattern, self.names, argument))
        return {i for i in chosen if i >= first}

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
                "with every variable it will update, add it with add(variables), or use a second "
                "optimizer."
            ) from None
