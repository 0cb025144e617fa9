"""Precision: the dtype that layers compute in, while a trainer builds or traces a step.

Variables, losses, statistics and metric sums stay float32 whatever it is. A model is never left
changed: dtypes are set when a trainer begins to trace and put back when it is done, so that several
trainers may share a model.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import tensorflow as tf

from trainer import state
from trainer.precision.loss_scale import LossScale

_NAMES = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
HALVES = ("bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class Precision:
    """What layers compute in, and how the loss is scaled.

    Args:
        compute_dtype: "float32", "bfloat16" or "float16".
        loss_scale: a `LossScale`; a number for a scale that never moves; None for none. "auto" is
            `LossScale()` under float16 and None else: bfloat16 has the range of float32.
        keep: regular expressions; a layer whose path or name (`"head"`, `"^model/layers/3$"`) holds
            one of them computes in float32, with everything below it.

    Raises:
        ValueError: a value is not one of these.

    Example:
        >>> Precision("float16", loss_scale=1024.0, keep=["head"]).scale
        LossScale(initial_scale=1024.0, dynamic_growth_steps=2000, dynamic=False, ...)
    """

    compute_dtype: str = "float32"
    loss_scale: LossScale | float | str | None = dataclasses.field(default="auto", kw_only=True)
    keep: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if self.compute_dtype not in _NAMES.values():
            dtype = _NAMES.get(self.compute_dtype) if isinstance(self.compute_dtype, str) else None
            hint = f" Did you mean {dtype!r}?" if dtype else ""
            raise ValueError(
                f"Precision(compute_dtype={self.compute_dtype!r}): it is one of "
                f"{', '.join(map(repr, _NAMES.values()))}.{hint}"
            )
        scale = self.loss_scale
        number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
        if not (number or scale is None or scale == "auto" or isinstance(scale, LossScale)):
            raise ValueError(
                f"Precision(loss_scale={scale!r}): it is 'auto', None, a number (a scale that "
                "never moves) or a LossScale."
            )
        _ = self.scale  # a number is checked as a LossScale is
        keep = (self.keep,) if isinstance(self.keep, str) else self.keep
        if not isinstance(keep, (tuple, list)) or not all(isinstance(p, str) for p in keep):
            raise ValueError(
                f"Precision(keep={self.keep!r}): it is a list of regular expressions, as strings."
            )
        object.__setattr__(self, "keep", tuple(keep))
        for pattern in keep:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"Precision(keep={pattern!r}) is no regular expression: {error}."
                ) from None

    @classmethod
    def of(cls, given: Any) -> Precision | None:
        """A precision from itself, its name, or None."""
        if given is None or isinstance(given, cls):
            return given
        if isinstance(given, str) and given in _NAMES:
            return cls(_NAMES[given])
        hint = f" Did you mean 'mixed_{given}'?" if given in HALVES else ""
        raise ValueError(
            f"precision={given!r}; it is one of {', '.join(map(repr, _NAMES))}, or "
            f"Precision(...).{hint} (Variables are float32 in all of them.)"
        )

    @property
    def scale(self) -> LossScale | None:
        """How the loss is scaled, if it is."""
        given = self.loss_scale
        if given == "auto":
            return LossScale() if self.compute_dtype == "float16" else None
        if given is None or isinstance(given, LossScale):
            return given
        return LossScale(float(given), dynamic=False)  # type: ignore[arg-type]


class _Switch(NamedTuple):
    """One module whose dtype can be set; `attribute` is "compute_dtype", or Keras's policy."""

    path: str
    module: Any
    attribute: str


@contextmanager
def in_force(
    precision: Precision | None, root: Any, warn: Callable[[str], None] = lambda message: None
) -> Iterator[None]:
    """While it is open, every layer below `root` computes in the precision's dtype.

    Layers that `root` holds itself give float32 back, so that a step that compares their outputs
    with its data needs to know nothing of all this.

    Args:
        precision: None leaves each layer as it is.
        root: a task.
        warn: told once which modules have weights and no such switch.

    Raises:
        ValueError: a pattern of `keep` is found in no layer's path.
        TypeError: code between the layers mixes their half precision with float32.
    """
    if precision is None:
        yield
        return
    half = precision.compute_dtype in HALVES
    switches = list(_switches(root))
    kept = _kept(precision, switches)
    before = [(s, getattr(s.module, s.attribute)) for s in switches]
    tops = [m for m in _outermost(root) if half and hasattr(m, "output_dtype")]
    given = [module.output_dtype for module in tops]
    if half and (deaf := _deaf(root)):
        warn(
            f"{', '.join(deaf)} cannot be told to compute in {precision.compute_dtype}: plain "
            "modules keep to the dtype of their variables, float32. Make them of layers, or cast "
            "inside them"
        )
    try:
        for switch in switches:
            dtype = "float32" if switch.module in kept else precision.compute_dtype
            _set(switch, dtype)
        for module, dtype in zip(tops, given, strict=True):
            module.output_dtype = dtype or "float32"
        yield
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        if half and _is_mixture(str(error)):
            raise TypeError(
                f"{error}\nUnder {precision.compute_dtype} layers give {precision.compute_dtype} "
                "to code that calls them from a plain module or inside a Keras model: cast there, "
                "tf.cast(x, tf.float32), or keep a layer in float32 by Precision(keep=...)."
            ) from error
        raise
    finally:
        for switch, old in before:
            setattr(switch.module, switch.attribute, old)
        for module, dtype in zip(tops, given, strict=True):
            module.output_dtype = dtype


def meant_float32(precision: Precision | None, root: Any) -> set[str]:
    """Patterns of the scopes that compute in float32 on purpose, for `check.leftovers`.

    They are those of optimizers, of what a precision keeps, and without one of layers that are set
    to float32 with everything below them.
    """
    switches = list(_switches(root))
    if precision is not None:
        kept = _kept(precision, switches)
    else:
        half = [s.path for s in switches if s.module.compute_dtype in HALVES]
        kept = {s.module for s in switches if not any(_below(path, s.path) for path in half)}
    named = {path: str(module.name) for path, module, _ in switches}
    nodes = [node for _, node in state.walk(root) if not isinstance(node, tf.Variable)]
    return {_scope(switch, named) for switch in switches if switch.module in kept} | {
        re.escape(str(n.name)) for n in nodes if state.is_optimizer(n) and hasattr(n, "name")
    }


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def _scope(switch: _Switch, named: Mapping[str, str]) -> str:
    """A pattern of the scopes that a layer's operations are made in.

    Scopes are made of the names of the layers on the way down, and of places in a list where the
    layer above says them; names of Keras's layers are told apart by numbers already, to which
    TensorFlow may add one.
    """
    if switch.attribute != "compute_dtype":
        # TensorFlow numbers a scope that is entered again: "dense_1" may be the layer "dense".
        own = rf"{re.escape(named[switch.path])}(?:_\d+)?"
        others = {n for n in named.values() if n != named[switch.path] and re.fullmatch(own, n)}
        return f"(?!(?:{'|'.join(map(re.escape, others))})(?:/|$)){own}" if others else own
    parts, pattern = switch.path.split("/"), []
    for i, part in enumerate(parts):
        if part.isdigit():
            pattern.append(f"(?:{part}/)?")
        if name := named.get("/".join(parts[: i + 1])):
            pattern.append(rf"{re.escape(name)}(?:_\d+)?/")
    return "".join(pattern).removesuffix("/")


def widened(outputs: Any) -> Any:
    """A nest of tensors, those in half precision as float32; an array of them is exact."""

    def one(x: Any) -> Any:
        return tf.cast(x, tf.float32) if x.dtype in (tf.bfloat16, tf.float16) else x

    return tf.nest.map_structure(one, outputs)


def computes_in(root: Any, dtype: str) -> bool:
    """Whether a layer below `root` is set to compute in a dtype by itself."""
    return any(s.module.compute_dtype == dtype for s in _switches(root))


def _switches(root: Any) -> Iterator[_Switch]:
    """Every module below `root` that computes in a dtype that can be set."""
    seen: set[int] = set()
    for path, node in state.walk(root):
        if isinstance(node, tf.Variable) or state.is_optimizer(node):
            continue
        if state.is_keras(node):
            for layer in _keras_layers(node):
                if id(layer) not in seen and hasattr(layer, "dtype_policy"):
                    seen.add(id(layer))
                    below = "" if layer is node else f"/{layer.name}"
                    yield _Switch(path + below, layer, "dtype_policy")
        elif hasattr(node, "compute_dtype"):
            yield _Switch(path, node, "compute_dtype")


def _keras_layers(node: Any) -> list[Any]:
    # Keras's own way down, into lists and wrapped layers too; it has no public one.
    found = node._flatten_layers() if hasattr(node, "_flatten_layers") else []
    return [layer for layer in found if not _has_own_policy(layer)]


def _has_own_policy(layer: Any) -> bool:
    """Whether a Keras layer is quantized, or has a policy for each layer below it."""
    policy = getattr(layer, "dtype_policy", None)
    return bool(getattr(layer, "quantization_mode", None)) or hasattr(policy, "default_policy")


def _set(switch: _Switch, dtype: str) -> None:
    if switch.attribute == "compute_dtype":
        switch.module.compute_dtype = dtype
    else:
        switch.module.dtype_policy = dtype if dtype == "float32" else f"mixed_{dtype}"


def _kept(precision: Precision, switches: list[_Switch]) -> set[Any]:
    """The modules that stay float32, by patterns."""
    if not precision.keep:
        return set()
    tops: dict[str, list[str]] = {pattern: [] for pattern in precision.keep}
    for path, module, _ in switches:
        for pattern in precision.keep:
            if re.search(pattern, path) or re.search(pattern, str(module.name)):
                tops[pattern].append(path)
    if unknown := [pattern for pattern, paths in tops.items() if not paths]:
        some = ", ".join(path for path, _, _ in switches[:20])
        raise ValueError(f"Precision(keep={unknown[0]!r}) is found in no layer; there are {some}.")
    under = tuple(path for paths in tops.values() for path in paths)
    return {
        module
        for path, module, _ in switches
        if path in under or path.startswith(tuple(f"{top}/" for top in under))
    }


def _outermost(root: Any) -> Iterator[Any]:
    """The modules that a task holds itself: in attributes, lists and dicts."""
    waiting = list(state.attributes(root).values())
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, dict):
            waiting += list(node.values())
        elif isinstance(node, (list, tuple)):
            waiting += list(node)
        elif isinstance(node, tf.Module):
            yield node


def _deaf(root: Any) -> list[str]:
    """Plain modules below `root` that hold trainable weights, by path; `root` apart."""
    found = []
    for path, node in state.walk(root):
        plain = isinstance(node, tf.Module) and not state.is_keras(node)
        if node is root or not plain or hasattr(node, "compute_dtype") or state.is_optimizer(node):
            continue
        own = tf.nest.flatten([_leaves(value) for value in state.attributes(node).values()])
        if any(v.trainable and v.dtype.is_floating for v in own):
            found.append(f"{path} ({type(node).__name__})")
    return found


def _leaves(value: Any) -> list[tf.Variable]:
    if isinstance(value, tf.Variable):
        return [value]
    if isinstance(value, dict):
        return [leaf for v in value.values() for leaf in _leaves(v)]
    if isinstance(value, (list, tuple)):
        return [leaf for v in value for leaf in _leaves(v)]
    return []


def _is_mixture(message: str) -> bool:
    """Whether TensorFlow says, in one of its ways, that half precision met float32."""
    ways = r"was expected to be a \w+ tensor|does not match type|[Cc]onversion requested dtype"
    return bool(re.search(ways, message) and re.search("bfloat16|float16|half", message))
