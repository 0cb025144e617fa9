"""The `.safetensors` format, by its own library, which is an optional dependency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainer.weights.file import DamagedFileError

# What the library's NumPy side both writes and reads, by the names it has in a file.
_DTYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "U8": "uint8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "U32": "uint32",
    "I64": "int64",
    "U64": "uint64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}


def library() -> Any:
    """The module `safetensors`, with its NumPy side.

    Raises:
        ImportError: it is not installed; the text says how to install it.
    """
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "files that end in .safetensors need the package safetensors: "
            "pip install gradloop[safetensors], or use .npz, which needs nothing"
        ) from error
    return safetensors


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays.

    Raises:
        ValueError: an array has a dtype or a name that the format does not take.
    """
    allowed = set(_DTYPES.values())
    for name, array in arrays.items():
        if array.dtype.name not in allowed:
            raise ValueError(
                f"{name} has dtype {array.dtype.name}, which .safetensors files do not take and "
                "give back; save to .npz."
            )
        if name == "__metadata__":
            raise ValueError(f"the name {name!r} has a meaning of its own in .safetensors files.")
    # The library writes the bytes as they lie in memory. (`ascontiguousarray` would make a scalar
    # a vector.)
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    library().numpy.save_file(ordered, str(path))


class SafetensorsFile:
    """A `.safetensors` file that is open for reading; the library checks it against its size.

    Args:
        path: the file.

    Attributes:
        specs: name -> (shape, dtype's name).

    Raises:
        ImportError: the library is not installed.
        DamagedFileError: the file is cut short, damaged, or not what it says.
    """

    def __init__(self, path: Path) -> None:
        module = library()
        try:
            self._file = module.safe_open(str(path), framework="np").__enter__()
            slices = {name: self._file.get_slice(name) for name in self._file.keys()}  # noqa: SIM118
            self.specs = {
                name: (tuple(part.get_shape()), _DTYPES.get(part.get_dtype(), part.get_dtype()))
                for name, part in slices.items()
            }
        except module.SafetensorError as error:
            raise DamagedFileError(path, error) from error

    def read(self, name: str) -> np.ndarray:
        """The array of that name. The format has no checksum that could be verified."""
        return self._file.get_tensor(name)

    def close(self) -> None:
        """Closes the file."""
        self._file.__exit__(None, None, None)
