"""Keras's `.weights.h5`: read only; every array has a path told by the layers and their order."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import state
from trainer.match import match
from trainer.weights.file import DamagedFileError, as_named, dtype_name

_DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError)  # what h5py makes of it


class H5File:
    """A `.weights.h5` file that is open for reading.

    Args:
        path: the file.

    Attributes:
        specs: Keras's path -> (shape, dtype's name).

    Raises:
        ImportError: h5py is not installed.
        DamagedFileError: the file is cut short, damaged, or has another layout.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._library = library()
        try:
            self._file = self._library.File(path, "r")
        except OSError as error:
            raise DamagedFileError(path, error) from error
        self.specs: dict[str, tuple[tuple[int, ...], str]] = {}
        try:
            if "layer_names" in self._file.attrs:
                raise OSError(
                    "it has the layout of Keras 2; load it in Keras and save it again, or pass "
                    "get_weights() of one model to set_weights() of the other"
                )
            self._file.visititems(self._visit)  # goes along no link to another file
        except BaseException as error:
            self._file.close()
            if isinstance(error, _DAMAGE):
                raise DamagedFileError(path, error) from error
            raise

    def read(self, name: str) -> np.ndarray:
        """The array at a path."""
        return as_named(self.raw(name), self.specs[name][1])

    def raw(self, name: str) -> np.ndarray:
        """The same, as bytes where HDF5 has not the dtype."""
        try:
            return np.asarray(self._file[name][()])
        except _DAMAGE as error:
            raise DamagedFileError(self._path, error) from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _visit(self, name: str, node: Any) -> None:
        if not isinstance(node, self._library.Dataset):
            return
        if node.shape is None or node.external or node.is_virtual:
            raise OSError(f"the values of {name} are not in it")
        given = node.attrs.get("dtype")  # of raw bytes, where HDF5 has not the dtype
        self.specs[name] = (tuple(node.shape), dtype_name(node.dtype, given))


def library() -> Any:
    """The module `h5py`, which comes with Keras.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "files that end in .weights.h5 need the package h5py, which comes with Keras: "
            "pip install h5py"
        ) from error
    return h5py


def layout(root: Any, paths: Iterable[str]) -> dict[str, tf.Variable]:
    """Keras's path -> variable, for everything below `root` that is not Keras's itself.

    An object's own variables are `vars/0`, `vars/1`, ..., those to be trained first; a layer may
    say otherwise in `keras_paths()`. What it holds in attributes follows in the order of the
    attributes' names, each object once: an attribute's name is its path, and in a list or dict the
    class in snake case, numbered from the second one of a class on. Where the file has no such path
    but a `layers`, as for Keras's functional models, it is the object's parts in the order in which
    they were attached, numbered likewise. The keys of a dict that is `root` itself are paths.

    Args:
        root: a layer or model of ours, any `tf.Module`, or a dict of these by their paths.
        paths: the paths that the file has.

    Raises:
        TypeError: a Keras object is below `root`.
    """
    groups = {path[:end] for path in paths for end in _slashes(path)}
    seen: set[int] = set()
    if isinstance(root, Mapping):
        placed = [p for key, value in root.items() for p in _place(value, str(key), groups, seen)]
    else:
        placed = list(_module(root, "", groups, seen))
    wanted = state.model_variables(root)
    ids = {id(variable) for variable in wanted.values()}
    found = {path: variable for path, variable in placed if id(variable) in ids}
    # A variable that has no place in such files is missing from this one, under its own name.
    known = {id(variable) for variable in found.values()}
    return found | {name: v for name, v in wanted.items() if id(v) not in known}


def load_into_keras(
    root: Any, file: H5File, partial: str | None, where: str, hint: str
) -> list[str]:
    """Loads into a Keras model, which knows its own layout best; returns the paths.

    The model writes what it has to a temporary file; that is the layout to compare with. What is to
    be loaded is put into it, and the model reads it back: a file of ours, not the one given.
    """
    if not (hasattr(root, "save_weights") and hasattr(root, "load_weights")):
        raise TypeError(
            f"{type(root).__name__} is a Keras object that cannot load {where}: only Keras models "
            "can, and it is one of their layers."
        )
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.weights.h5"
        want = {}
        if root.built:
            root.save_weights(own)
            with closing(H5File(own)) as written:
                want = written.specs
        pairs = match(file.specs, want, partial, where=where, hint=hint).pairs
        if not pairs:  # nothing on either side
            return []
        with library().File(own, "r+") as target:
            for name, _ in pairs:
                target[name][...] = file.raw(name)
        root.load_weights(own)
    return [name for name, _ in pairs]


def _module(node: Any, path: str, groups: set[str], seen: set[int]) -> Iterator[tuple[str, Any]]:
    """(path, variable) of a module and of all below it."""
    if id(node) in seen or state.is_optimizer(node):
        return
    seen.add(id(node))
    if state.is_keras(node):
        raise TypeError(
            f"{path or 'the object'} is Keras's {type(node).__name__}: load a Keras model's file "
            "into that model itself."
        )
    own = node.keras_paths() if hasattr(node, "keras_paths") else _own_variables(node)
    for name, variable in own.items():
        yield _join(path, name), variable
    attributes = state.attributes(node).items()
    parts = {name: value for name, value in attributes if not isinstance(value, tf.Variable)}
    listed = "layers" not in parts and _join(path, "layers") in groups
    elsewhere = []
    for name in sorted(parts):
        if listed and _join(path, name) not in groups:
            elsewhere.append(parts[name])
        else:
            yield from _place(parts[name], _join(path, name), groups, seen)
    if listed and elsewhere:
        yield from _listed(_flat(parts.values()), _join(path, "layers"), groups, seen)


def _place(value: Any, path: str, groups: set[str], seen: set[int]) -> Iterator[tuple[str, Any]]:
    """What an attribute or a key holds."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        yield from _listed(value, path, groups, seen)
    elif isinstance(value, tf.Variable):  # only of a root that is a dict
        yield path, value
    elif isinstance(value, tf.Module) or state.is_keras(value):
        yield from _module(value, path, groups, seen)


def _listed(
    values: Iterable[Any], path: str, groups: set[str], seen: set[int]
) -> Iterator[tuple[str, Any]]:
    """The parts of a list, named by class and order."""
    counts: Counter[str] = Counter()
    for value in values:
        container = isinstance(value, (Mapping, list, tuple))
        if not (container or isinstance(value, tf.Module) or state.is_keras(value)):
            continue
        kind = "container" if container else _snake_case(type(value).__name__)
        name = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        yield from _place(value, _join(path, name), groups, seen)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    """The modules in a nest."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _flat(value.values())
        elif isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


def _own_variables(node: Any) -> dict[str, tf.Variable]:
    """`vars/0` and so on for the variables that hang directly on a module."""
    held = [v for v in _flat(state.attributes(node).values()) if isinstance(v, tf.Variable)]
    unique = list({id(v): v for v in held}.values())
    ordered = sorted(unique, key=lambda v: not v.trainable)  # stable
    return {f"vars/{i}": v for i, v in enumerate(ordered)}


def _snake_case(name: str) -> str:
    """A class's name as Keras writes it in paths: `p_re_lu`, `conv2d`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _slashes(path: str) -> Iterator[int]:
    return (i for i, letter in enumerate(path) if letter == "/")


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
