"""The tree of variables: one walk that finds every variable and module below an object, by path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf


def walk(root: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields `(path, node)` for each variable and module below `root`, once, in attribute order.

    It goes into `tf.Module`s, lists, tuples, dicts, Keras objects, and objects that look like an
    optimizer (they have `apply`). A Keras object is yielded with its variables, numbered, because
    its automatic names differ from one instance to the next.
    """
    yield from _walk(root, path, set())


def _walk(node: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(node) in seen:
        return
    if isinstance(node, tf.Variable):
        seen.add(id(node))
        yield path, node
    elif is_keras(node) and hasattr(node, "variables"):
        seen.add(id(node))
        yield path, node
        for i, variable in enumerate(node.variables):
            short = _short(variable, slot=is_optimizer(node))
            yield from _walk(as_tf(variable), _join(path, f"{i}_{short}"), seen)
    elif is_keras(node) and hasattr(node, "value"):  # a Keras variable held directly
        yield from _walk(as_tf(node), path, seen)
    elif isinstance(node, Mapping):
        seen.add(id(node))
        for key, value in node.items():
            yield from _walk(value, _join(path, str(key)), seen)
    elif isinstance(node, (list, tuple)):
        seen.add(id(node))
        for i, value in enumerate(node):
            yield from _walk(value, _join(path, str(i)), seen)
    elif isinstance(node, tf.random.Generator):
        yield from _walk(node.state, _join(path, "state"), seen)
    elif isinstance(node, tf.Module) or is_optimizer(node):
        seen.add(id(node))
        yield path, node
        for name, value in attributes(node).items():
            yield from _walk(value, _join(path, name), seen)


def variables(root: Any) -> dict[str, tf.Variable]:
    """Path -> variable, for every variable below `root`, trainable or not.

    Raises:
        ValueError: keys of dicts give two variables the same path.
    """
    found: dict[str, tf.Variable] = {}
    for path, node in walk(root):
        if isinstance(node, tf.Variable):
            if path in found:
                raise ValueError(
                    f"two variables have the path {path!r}: dicts have keys with a slash, or both "
                    "1 and '1'. Rename one, or one could not be told from the other in a file."
                )
            found[path] = node
    return found


def replace(root: Any, swap: Callable[[tf.Variable], tf.Variable]) -> None:
    """Puts `swap(variable)` wherever a variable is held below `root`: attributes, lists, dicts.

    A variable that is held twice is swapped once. Tuples are made anew.
    """
    _replace(root, swap, {}, set())


def _replace(node: Any, swap: Any, swapped: dict[int, Any], seen: set[int]) -> Any:
    """What stands in the place of `node` from now on."""
    if isinstance(node, tf.Variable):
        if id(node) not in swapped:
            swapped[id(node)] = swap(node), node  # the old one too: its id must not be given anew
        return swapped[id(node)][0]
    if isinstance(node, tuple):
        parts = [_replace(x, swap, swapped, seen) for x in node]
        if all(new is old for new, old in zip(parts, node, strict=True)):
            return node
        return type(node)(*parts) if hasattr(node, "_fields") else tuple(parts)
    if id(node) in seen:
        return node
    seen.add(id(node))
    if is_keras(node) and hasattr(node, "variables"):
        for variable in node.variables:
            _replace(variable, swap, swapped, seen)
    elif is_keras(node) and hasattr(node, "value"):
        if (new := _replace(node.value, swap, swapped, seen)) is not node.value:
            node._value = new  # a Keras variable's own place for its tf.Variable
    elif isinstance(node, Mapping):
        for key, value in list(node.items()):
            if (new := _replace(value, swap, swapped, seen)) is not value:
                node[key] = new  # type: ignore[index]
    elif isinstance(node, list):
        for i, value in enumerate(node):
            if (new := _replace(value, swap, swapped, seen)) is not value:
                node[i] = new
    elif isinstance(node, tf.Module) or is_optimizer(node):
        for name, value in attributes(node).items():
            if (new := _replace(value, swap, swapped, seen)) is not value:
                setattr(node, name, new)
    return node


def model_variables(root: Any) -> dict[str, tf.Variable]:
    """Path -> variable, without those that belong to optimizers."""
    owned = {
        id(variable)
        for _, node in walk(root)
        if not isinstance(node, tf.Variable) and is_optimizer(node)
        for variable in variables(node).values()
    }
    return {path: v for path, v in variables(root).items() if id(v) not in owned}


def optimizers(root: Any) -> dict[str, Any]:
    """Path -> optimizer below `root`; of optimizers within another, only the outermost."""
    found: dict[str, Any] = {}
    for path, node in walk(root):
        inside = any(path.startswith(f"{outer}/") for outer in found)
        if not isinstance(node, tf.Variable) and is_optimizer(node) and not inside:
            found[path] = node
    return found


def modules(root: Any) -> list[Any]:
    """Every module below `root` (`tf.Module`, Keras layer or model), itself included."""
    return [node for _, node in walk(root) if not isinstance(node, tf.Variable)]


def trainable_variables(root: Any) -> list[Any]:
    """The trainable variables below `root`, in the order its own modules give them.

    An object that defines `trainable_variables` is asked. A plain `tf.Module` is walked instead,
    because TensorFlow's own property does not see Keras layers held by a module.
    """
    found: list[Any] = []
    _collect_trainable(root, found, set())
    return found


def _collect_trainable(node: Any, found: list[Any], seen: set[int]) -> None:
    if id(node) in seen or is_optimizer(node):
        return
    seen.add(id(node))
    if isinstance(node, tf.Variable) or (is_keras(node) and hasattr(node, "value")):
        if node.trainable and id(as_tf(node)) not in {id(as_tf(v)) for v in found}:
            found.append(node)
    elif _defines_trainable_variables(node):
        for variable in node.trainable_variables:
            _collect_trainable(variable, found, seen)
    elif isinstance(node, Mapping):
        for value in node.values():
            _collect_trainable(value, found, seen)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _collect_trainable(value, found, seen)
    elif isinstance(node, tf.Module):
        for value in attributes(node).values():
            _collect_trainable(value, found, seen)


def _defines_trainable_variables(node: Any) -> bool:
    own = getattr(type(node), "trainable_variables", None)
    return own is not None and own is not tf.Module.trainable_variables


def regularization_losses(root: Any) -> list[tf.Tensor]:
    """The scalars of each outermost `losses` below `root` (Keras's name for regularisers)."""
    if hasattr(root, "losses"):
        return [tf.cast(loss, tf.float32) for loss in root.losses]
    if isinstance(root, Mapping):
        children = list(root.values())
    elif isinstance(root, (list, tuple)):
        children = list(root)
    elif isinstance(root, tf.Module):
        children = list(attributes(root).values())
    else:
        return []
    return [loss for child in children for loss in regularization_losses(child)]


@contextmanager
def untouched(root: Any) -> Iterator[None]:
    """Runs a block that may build and call anything below `root`, and puts all values back.

    Variables that the block creates keep the value they were created with.
    """
    created: list[tuple[tf.Variable, tf.Tensor]] = []

    def record(next_creator: Any, **kwargs: Any) -> tf.Variable:
        variable = next_creator(**kwargs)
        if tf.executing_eagerly():
            created.append((variable, variable.read_value()))
        return variable

    before = [(v, v.read_value()) for v in variables(root).values()]
    try:
        with tf.variable_creator_scope(record):
            yield
    finally:
        for variable, value in (*before, *created):
            variable.assign(value)


def is_keras(node: Any) -> bool:
    """Whether an object's class, or one it derives from, is Keras's; never imports Keras."""
    return any(base.__module__.split(".", 1)[0] == "keras" for base in type(node).__mro__)


def as_tf(variable: Any) -> tf.Variable:
    """The `tf.Variable` itself, or the one inside a Keras variable."""
    return variable if isinstance(variable, tf.Variable) else variable.value


def name_of(variable: Any) -> str:
    """A variable's name for people: Keras's path where there is one."""
    return str(getattr(variable, "path", None) or variable.name).removesuffix(":0")


def attributes(node: Any) -> dict[str, Any]:
    """An object's attributes without those of TensorFlow's own bookkeeping."""
    return {k: v for k, v in vars(node).items() if not k.startswith(("_tf_", "_self_"))}


def is_optimizer(node: Any) -> bool:
    """Whether an object, not a class, has `apply`."""
    return callable(getattr(node, "apply", None)) and not isinstance(node, type)


def _short(variable: Any, slot: bool) -> str:
    """The last part of a Keras variable's name.

    An optimizer's slot is named after the whole path of its variable, the automatic names of layers
    included, joined by underscores: only the slot's own name is the same for another instance.
    """
    name = str(variable.name).rsplit("/", 1)[-1].removesuffix(":0")
    return name.rsplit("_", 1)[-1] if slot and name != "learning_rate" else name


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
