"""What every file of weights has in common: reading one, finding it damaged, writing it whole."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from trainer.match import Spec


class DamagedFileError(ValueError):
    """A file of weights is cut short, damaged, or not in the format that its name says."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(
            f"{str(path)!r} cannot be read: {reason}. Is it cut short, damaged, or of another "
            f"format than {path.name!r} says? It has {path.stat().st_size} bytes. Nothing was "
            "loaded."
        )


class WeightsFile(Protocol):
    """A file of weights that is open for reading.

    Attributes:
        specs: name -> (shape, dtype's name); known before any array is read.
    """

    specs: dict[str, Spec]

    def read(self, name: str) -> np.ndarray:
        """The array of that name."""

    def close(self) -> None:
        """Closes the file."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name in the same folder to write to; `path` gets what was written, when all is on disk.

    Where writing fails, or the machine, `path` is what it was before.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(path.parent)!r} to write {path.name!r} into; make it first."
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a renaming within a folder last through a power cut."""
    if os.name == "nt":  # which cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # which say: nothing to sync here
            raise
    finally:
        os.close(descriptor)


def dtype_name(dtype: np.dtype, beside: object) -> str:
    """The name of a dtype in a file: of raw bytes that which stands beside them, if it fits."""
    if dtype.kind == "V" and isinstance(beside, str):
        named = _foreign_dtype(beside)
        if named is not None and named.itemsize == dtype.itemsize:
            return beside
    return dtype.name


def as_named(array: np.ndarray, name: str) -> np.ndarray:
    """The array in native byte order and, where it is raw bytes, with the dtype of that name."""
    named = _foreign_dtype(name) if array.dtype.kind == "V" else None
    if named is not None:
        return array.view(named)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def is_foreign(dtype: np.dtype) -> bool:
    """Whether NumPy writes a dtype as raw bytes, as it does with bfloat16."""
    try:
        return np.dtype(dtype.str) != dtype
    except TypeError:
        return True


def _foreign_dtype(name: str) -> np.dtype | None:
    """The dtype of a TensorFlow name, if it is one that NumPy writes as raw bytes."""
    try:
        dtype = np.dtype(tf.as_dtype(name).as_numpy_dtype)
    except (TypeError, KeyError):
        return None
    return dtype if is_foreign(dtype) and dtype.fields is None else None
