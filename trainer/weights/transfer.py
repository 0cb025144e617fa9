"""Weights of a model in one file: `.npz`, `.safetensors`, and Keras's `.weights.h5` to read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import state
from trainer.match import MismatchError, Spec, match, searched, shortened, spread
from trainer.weights import h5, npz, safetensors
from trainer.weights.checkpoint import CheckpointWeights
from trainer.weights.file import WeightsFile, written_whole

_HINT = (
    "Nothing was loaded. partial='^encoder/' loads only the names in which it is found; names "
    "begin at the object that you load into: {'model': model} puts 'model/' before them."
)


_READERS: dict[str, Callable[[Path], WeightsFile]] = {
    ".npz": npz.NpzFile,
    ".safetensors": safetensors.SafetensorsFile,
    ".weights.h5": h5.H5File,
}


def save_weights(root: Any, path: str | os.PathLike) -> None:
    """Writes the variables of `root`, without those of optimizers, to one file.

    The file appears whole or not at all. Names are paths of attributes, keys and indices, such as
    `layers/0/kernel`; below a Keras object they are numbered, `0_kernel`.

    Args:
        root: a model of ours, any `tf.Module`, a Keras model, a task, or a dict or list of these.
        path: ends in `.npz` (NumPy; every dtype; a checksum for each array) or in `.safetensors`
            (needs `pip install gradloop[safetensors]`; no checksum; no float8 and complex numbers).

    Raises:
        ValueError: the ending is another, there are no variables (is the model built?), or one has
            a dtype that the file cannot hold.
        FileNotFoundError: the folder does not exist.
        ImportError: the library for `.safetensors` is missing.

    Example:
        >>> module = tf.Module()
        >>> module.w = tf.Variable([1.0, 2.0])
        >>> save_weights(module, "w.npz")
        >>> _ = module.w.assign([0.0, 0.0])
        >>> load_weights(module, "w.npz")
        ['w']
        >>> module.w.numpy()
        array([1., 2.], dtype=float32)
    """
    path = Path(path)
    ending = _ending(path)
    if ending == ".weights.h5":
        raise ValueError(
            f"{path.name}: files of Keras are only read; save to .npz or .safetensors, or a Keras "
            "model by its own save_weights."
        )
    variables = state.model_variables(root)
    if not variables:
        raise ValueError(
            f"{type(root).__name__} has no variables to save to {path.name}: is it built? Call it "
            "once on a batch, or let Trainer build it."
        )
    arrays = {name: _array(name, variable) for name, variable in variables.items()}
    with written_whole(path) as temporary:
        if ending == ".npz":
            with temporary.open("wb") as file:
                npz.write(file, arrays)
        else:
            safetensors.write(temporary, arrays)


def load_weights(root: Any, path: str | os.PathLike, *, partial: str | None = None) -> list[str]:
    """Reads a file of weights into the variables of `root`; all of them fit, or none is changed.

    Names, shapes and dtypes must be those of `root`, one to one. In Keras's `.weights.h5` names are
    Keras's own, such as `layers/dense_1/vars/0`: places in lists of layers, by class and order. A
    model of ours takes them where its layers stand likewise; other modules lend themselves by a
    dict that says where: `{"layers": [conv, norm, head]}`. Seeds are not in such files.

    Values are in memory twice while they are read.

    Args:
        root: as in `save_weights`.
        path: ends in `.npz`, `.safetensors` or `.weights.h5`; or a folder: a checkpoint, or a
            run's, of which the newest is taken.
        partial: a regular expression, searched for in the names: only variables whose names match
            are loaded; the file must have all of these, and may have others.

    Returns:
        The names that were loaded.

    Raises:
        MismatchError: what is in the file is not what `root` has; the text is a table.
        DamagedFileError: the file is cut short, damaged, or not what its name says.
        ValueError: the ending is another, or `partial` is no regular expression.
        FileNotFoundError: there is no such file.
        ImportError: the library for `.safetensors` or `.weights.h5` is missing.
    """
    path = Path(path)
    with closing(_opened(path)) as file:
        if isinstance(file, h5.H5File):
            if state.is_keras(root):
                return h5.load_into_keras(root, file, partial, path.name, _HINT)
            variables = h5.layout(root, file.specs)
        else:
            variables = state.model_variables(root)
        want = {name: _spec(variable) for name, variable in variables.items()}
        matched = match(file.specs, want, partial, where=path.name, hint=_HINT)
        values = [(variables[here], file.read(there)) for there, here in matched.pairs]
    for variable, value in values:
        variable.assign(value)
    return [here for _, here in matched.pairs]


class LaterWeights:
    """Files to be loaded into something that may have no variables yet.

    Args:
        root: as in `load_weights`.

    Attributes:
        root: the same.
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self._waiting: dict[str | None, Path] = {}

    @property
    def waits(self) -> bool:
        """Whether a file is still to be loaded."""
        return bool(self._waiting)

    def load(self, path: str | os.PathLike, partial: str | None, *, built: bool) -> None:
        """Loads a file: now if it fits now, or else, where something is not built yet, when it is.

        A file that waits is checked now as far as it can be. Of several that wait, a later one for
        the same `partial` takes the place of the earlier, one for everything that of all others.
        """
        if partial is None:
            self._waiting.clear()
        self._waiting.pop(partial, None)
        try:
            load_weights(self.root, path, partial=partial)
        except MismatchError:
            if built or _surely_built(self.root):
                raise
            with closing(_opened(Path(path))) as file:
                _check_partial(file.specs, partial, Path(path).name)
            self._waiting[partial] = Path(path).absolute()

    def built(self) -> None:
        """Loads what waits, when everything has its variables."""
        for partial, path in self._waiting.items():
            load_weights(self.root, path, partial=partial)
        self._waiting.clear()


def _surely_built(root: Any) -> bool:
    """Whether all modules say that they are built; a plain `tf.Module` says nothing."""
    return all(getattr(module, "built", False) for module in state.modules(root))


def _opened(path: Path) -> WeightsFile:
    if path.is_dir():
        return CheckpointWeights(path)
    reader = _READERS[_ending(path)]
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights {str(path)!r}.")
    return reader(path)


def _ending(path: Path) -> str:
    for ending in _READERS:
        if path.name.endswith(ending):
            return ending
    raise ValueError(
        f"path={str(path)!r} ends in {path.suffix!r}; files of weights end in .npz, .safetensors "
        "or (Keras's, only read) .weights.h5; a checkpoint is a folder."
    )


def _check_partial(names: Iterable[str], partial: str | None, where: str) -> None:
    """An error where the file alone shows that nothing will ever be loaded by `partial`."""
    if partial is not None and not any(map(searched(partial).search, names)):
        some = ", ".join(map(shortened, spread(list(names), 5)))
        raise ValueError(
            f"partial={partial!r} is found in no name in {where}; they are such as {some}."
        )


def _array(name: str, variable: tf.Variable) -> np.ndarray:
    array = variable.read_value().numpy()
    if not isinstance(array, np.ndarray | np.generic) or array.dtype.hasobject:
        raise ValueError(
            f"{name} has dtype {variable.dtype.name}; files of weights hold numbers. Keep it "
            "outside of the object that is saved."
        )
    return np.asarray(array)


def _spec(variable: tf.Variable) -> Spec:
    known = variable.shape.is_fully_defined()
    return tuple(variable.shape if known else variable.read_value().shape), variable.dtype.name
