"""Groups: one optimizer for each group of variables, chosen by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from optimizers.evaluation import Evaluated
from optimizers.variables import found_in, matched, name_of, near, unwrap

REST = "..."


class Groups(Evaluated, tf.Module):
    """Several optimizers as one: `Groups({pattern: optimizer, ..., "...": rest})`.

    A variable belongs to the first pattern that is found in its name. A group's optimizer sees its
    own variables alone; for a global norm over all, put `Transform` around the groups.

    Args:
        groups: From a regular expression to what updates the variables in whose names it is found:
            an optimizer of ours; None, which freezes them; or a number, by which the learning rate
            of the rest's optimizer is multiplied for them. The key "..." comes last and takes the
            variables that no pattern takes; without it there must be none.
        name: Name of the optimizer.

    Raises:
        ValueError: at `build`, when a pattern takes no variable (with the names that come near),
            or a variable has no group.
        TypeError: a value is none of these.

    Example:
        >>> import optimizers
        >>> names = ("embedding/table", "dense/kernel", "dense/bias")
        >>> weights = [tf.Variable(tf.ones([2, 2]), name=name) for name in names]
        >>> optimizer = optimizers.Groups(
        ...     {
        ...         "^embedding/": None,
        ...         "/kernel$": optimizers.Muon(0.02),
        ...         "...": optimizers.AdamW(1e-3),
        ...     }
        ... )
        >>> optimizer.apply([tf.ones([2, 2])] * 3, weights)
        >>> [optimizer.group_of(w) for w in weights]
        [None, '/kernel$', '...']
        >>> [bool(w[0, 0] < 1.0) for w in weights]
        [False, True, True]
    """

    _TF_MODULE_IGNORED_PROPERTIES = frozenset(("_owners", *tf.Module._TF_MODULE_IGNORED_PROPERTIES))

    def __init__(self, groups: Mapping[str, Any], *, name: str = "groups"):
        tf.Module.__init__(self, name=name)
        self.patterns = tuple(groups)
        self._check(groups)
        self.optimizers: dict[str, Any] = {
            p: o for p, o in groups.items() if isinstance(o, Evaluated)
        }
        self._factors = {p: float(o) for p, o in groups.items() if _is_number(o)}
        self._owners: _Owners | None = None

    def __repr__(self) -> str:
        groups = {p: self.optimizers.get(p, self._factors.get(p)) for p in self.patterns}
        return f"{type(self).__name__}({groups!r})"

    # ---- the public surface ------------------------------------------------------------------

    @property
    def learning_rate(self) -> tf.Tensor:
        """The rate of the last group (that of "..."), a float32 scalar tensor."""
        return self._last.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        """Set the rate of the last group; set the others on `optimizers[pattern]`."""
        self._last.learning_rate = value

    @property
    def weight_decay(self) -> tf.Tensor | None:
        """The decay of the last group; None where there is none."""
        return self._last.weight_decay

    @weight_decay.setter
    def weight_decay(self, value: float) -> None:
        """Set the decay of the last group; set the others on `optimizers[pattern]`."""
        self._last.weight_decay = value

    @property
    def schedule(self) -> Callable | None:
        """The schedule of the last group."""
        return self._last.schedule

    @property
    def iterations(self) -> tf.Variable:
        """The number of updates of the last group."""
        return self._last.iterations

    @property
    def built(self) -> bool:
        """Whether the slots exist."""
        return self._owners is not None

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables that are updated (not the frozen ones), in the order of `build`."""
        return [v for v in self._known().variables if self._known().of(v) is not None]

    @property
    def weight_names(self) -> list[str]:
        """The names of `weights`."""
        return [self._known().names[v.ref()] for v in self.weights]

    @property
    def variables(self) -> list[tf.Variable]:
        """Those of all groups, in the order of the patterns."""
        return [v for optimizer in self.optimizers.values() for v in optimizer.variables]

    def slot(self, name: str, variable: Any) -> tf.Variable:
        """One slot of one variable, from its group's optimizer."""
        pattern = self.group_of(variable)
        if pattern is None:
            raise ValueError(f"{name_of(variable)!r} is frozen and so has no slot {name!r}.")
        return self.optimizers[pattern].slot(name, variable)

    def group_of(self, variable: Any) -> str | None:
        """The pattern whose optimizer updates a variable; None for a frozen one."""
        return self._known().of(unwrap(variable))

    def build(self, variables: Iterable[Any]) -> None:
        """Share out the variables and create the slots. Call it before tracing."""
        variables = list(variables)
        if self._owners is not None:
            for v in variables:
                self.group_of(v)
            return
        owners = self._share_out(variables)
        for pattern, factor in self._factors.items():
            listed = [v for v in variables if owners.taken[unwrap(v).ref()] == pattern]
            self._last.multiply_learning_rate(factor, var_list=listed)
        for pattern, optimizer in self.optimizers.items():
            mine = [v for v in variables if owners.of(unwrap(v)) == pattern]
            optimizer.build(mine)
        self._owners = owners

    def add(self, variables: Iterable[Any]) -> None:
        """Take in variables that came later; each goes to the group of its name.

        Raises:
            ValueError: a name belongs to a group with a multiplied rate, which must be whole from
                the beginning.
        """
        known, variables = self._known(), list(variables)
        shares: dict[str, list[Any]] = {}
        for variable in variables:
            pattern = self._pattern_of(name_of(variable))
            if pattern in self._factors:
                raise ValueError(
                    f"{name_of(variable)!r} belongs to {pattern!r}, whose multiplied rate is fixed "
                    "when the groups are built: give that group an optimizer of its own."
                )
            known.take(variable, pattern, pattern if pattern in self.optimizers else None)
            if pattern in self.optimizers:
                shares.setdefault(pattern, []).append(variable)
        for pattern, mine in shares.items():
            self.optimizers[pattern].add(mine)

    def apply(self, grads: Sequence[Any], variables: Sequence[Any]) -> None:
        """One update of every group; see `Optimizer.apply`. Frozen variables stay."""
        variables = list(variables)
        pairs = matched(grads, variables)
        if not self.built:
            with tf.init_scope():
                self.build(variables)
        for pattern, optimizer in self.optimizers.items():
            mine = [(g, v) for g, v in pairs if self.group_of(v) == pattern]
            if mine:
                optimizer.apply([g for g, _ in mine], [v for _, v in mine])

    def shard(self, strategy: Any) -> None:
        """Let replicas share out the slots of every group; see `Sharded.shard`."""
        for pattern, optimizer in self.optimizers.items():
            if not hasattr(optimizer, "shard"):
                raise ValueError(
                    f"groups: {pattern!r} is a {type(optimizer).__name__}, around another "
                    "optimizer, whose slots cannot be shared out."
                )
            optimizer.shard(strategy)

    @property
    def sharded(self) -> bool:
        """Whether each replica updates only the variables whose slots it keeps."""
        return any(getattr(optimizer, "sharded", False) for optimizer in self.optimizers.values())

    def spread(self, variables: Sequence[Any]) -> None:
        """Give all replicas what each has updated; see `Sharded.spread`."""
        for pattern, optimizer in self.optimizers.items():
            mine = [v for v in variables if self.group_of(v) == pattern]
            if mine:
                optimizer.spread(mine)

    def evaluation_values(self) -> list[Any]:
        """The weights to evaluate with, as the groups' optimizers say."""
        values = {
            v.ref(): value
            for optimizer in self.optimizers.values()
            for v, value in zip(optimizer.weights, optimizer.evaluation_values(), strict=True)
        }
        return [values[v.ref()] for v in self.weights]

    def finalize_variable_values(self, variables: Iterable[Any]) -> None:
        """Replace weights by their averages, in the groups that keep some."""
        variables = list(variables)
        for pattern, optimizer in self.optimizers.items():
            mine = [v for v in variables if self.group_of(v) == pattern]
            optimizer.finalize_variable_values(mine)

    # ---- who is whose ------------------------------------------------------------------------

    @property
    def _last(self) -> Any:
        return list(self.optimizers.values())[-1]

    def _check(self, groups: Mapping[str, Any]) -> None:
        if REST in self.patterns[:-1]:
            raise ValueError(f'groups has "..." at {self.patterns.index(REST)}: put it last.')
        for pattern, value in groups.items():
            if pattern != REST:
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise ValueError(
                        f"groups: {pattern!r} is no regular expression: {error}."
                    ) from None
            if hasattr(value, "perturb"):
                raise TypeError(
                    f"groups[{pattern!r}] takes two gradients: put SAM around the groups."
                )
            if not (value is None or isinstance(value, Evaluated) or _is_number(value)):
                raise TypeError(
                    f"groups[{pattern!r}]={value!r} must be an optimizer of ours, None (frozen) or "
                    "a number (times the learning rate of the rest)."
                )
            if _is_number(value) and not hasattr(groups.get(REST), "multiply_learning_rate"):
                raise ValueError(
                    f"groups[{pattern!r}]={value} multiplies the learning rate of the rest: give "
                    'the key "..." an optimizer that is not wrapped.'
                )
        if not any(isinstance(value, Evaluated) for value in groups.values()):
            raise ValueError("groups has no optimizer: everything would be frozen.")

    def _share_out(self, variables: list[Any]) -> _Owners:
        owners, names = _Owners(), [name_of(v) for v in variables]
        for variable, name in zip(variables, names, strict=True):
            pattern = self._pattern_of(name)
            if pattern is None:
                raise ValueError(
                    f"{name!r} belongs to no group of {self.patterns}: add a pattern, or the key "
                    f'"..." for the rest; {near(name, names)}'
                )
            owner = REST if pattern in self._factors else pattern
            owners.take(variable, pattern, owner if owner in self.optimizers else None)
        for pattern in self.patterns:
            if pattern == REST:
                if REST in self.optimizers and REST not in owners.owners.values():
                    raise ValueError('groups: nothing is left for "...": take it out.')
                continue
            found_in(pattern, names, "groups")
            if pattern not in owners.taken.values():
                raise ValueError(
                    f"groups: {pattern!r} takes no variable: patterns before it take all in whose "
                    "names it is found. Put the narrower pattern first."
                )
        return owners

    def _pattern_of(self, name: str) -> str | None:
        for pattern in self.patterns:
            if pattern == REST or re.search(pattern, name):
                return pattern
        return None

    def _known(self) -> _Owners:
        if self._owners is None:
            raise ValueError(f"{self.name} is not built: call build(variables) first.")
        return self._owners


class _Owners:
    """Which pattern took each variable, and whose optimizer updates it. Not tracked."""

    def __init__(self) -> None:
        self.variables: list[tf.Variable] = []
        self.names: dict[Any, str] = {}
        self.taken: dict[Any, str | None] = {}
        self.owners: dict[Any, str | None] = {}

    def take(self, variable: Any, pattern: str | None, owner: str | None) -> None:
        inner = unwrap(variable)
        if inner.ref() in self.taken:
            raise ValueError(f"variables names {name_of(variable)!r} twice: give each once.")
        self.variables.append(inner)
        self.names[inner.ref()] = name_of(variable)
        self.taken[inner.ref()] = pattern
        self.owners[inner.ref()] = owner

    def of(self, variable: tf.Variable) -> str | None:
        if variable.ref() not in self.owners:
            raise ValueError(f"the groups were not built for the variable {variable.name!r}.")
        return self.owners[variable.ref()]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
