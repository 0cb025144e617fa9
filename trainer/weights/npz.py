"""The `.npz` format: NumPy's own, read without pickle and without trusting what it claims."""

from __future__ import annotations

import json
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from trainer.weights.file import DamagedFileError, as_named, dtype_name, is_foreign

_DTYPES = "dtypes.json"  # name -> dtype, for the dtypes that NumPy itself does not know
_RATIO = 1040  # deflate cannot make anything smaller than this
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,  # a place that is in no file
    NotImplementedError,
    RuntimeError,
    ValueError,
    tokenize.TokenError,  # of a header that is no Python literal
)


def write(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays; the same arrays give the same bytes.

    A dtype that NumPy has not, such as bfloat16, is stored as raw bytes, as NumPy does, with its
    name beside it.
    """
    foreign = {name: a.dtype.name for name, a in arrays.items() if is_foreign(a.dtype)}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            raw = array.view(f"V{array.itemsize}") if name in foreign else array
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as out:
                npy.write_array(out, raw, allow_pickle=False)
        if foreign:
            archive.writestr(zipfile.ZipInfo(_DTYPES), json.dumps(foreign))


class NpzFile:
    """A `.npz` file that is open for reading; `specs` is read and checked, arrays are not yet.

    Every claim is held against the file's size, so that nothing large is made for a small file.

    Args:
        path: the file.

    Attributes:
        specs: name -> (shape, dtype's name).

    Raises:
        DamagedFileError: the file is cut short, damaged, or not what it says.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, path.open("rb")
        try:
            with self._damage():
                self._archive = zipfile.ZipFile(self._file)
                self._members = self._checked_members(path.stat().st_size)
                foreign = self._foreign()
                self._headers = {name: self._header(name) for name in self._members}
            self.specs = {
                name: (shape, dtype_name(dtype, foreign.get(name)))
                for name, (shape, _, dtype, _) in self._headers.items()
            }
        except BaseException:
            self._file.close()
            raise

    def read(self, name: str) -> np.ndarray:
        """The array of that name, its checksum verified."""
        with self._damage():
            return self._read(name)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Whatever damage can lead to becomes one error."""
        try:
            yield
        except _DAMAGE as error:
            raise DamagedFileError(self._path, error) from error

    def _checked_members(self, size: int) -> dict[str, zipfile.ZipInfo]:
        """Name -> member, each of a size that the file can hold."""
        members: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            if info.compress_size > size or info.file_size > _RATIO * info.compress_size:
                raise ValueError(f"{info.filename!r} claims more bytes than the file has")
            if info.filename == _DTYPES:
                continue
            name = info.filename.removesuffix(".npy")
            if name in members or name == info.filename:
                raise ValueError(f"{info.filename!r} is no array of its own")
            members[name] = info
        return members

    def _foreign(self) -> dict[str, str]:
        """Name -> dtype of the arrays whose dtype NumPy has not."""
        if _DTYPES not in self._archive.namelist():
            return {}
        found = json.loads(self._archive.read(_DTYPES))
        if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
            raise ValueError(f"{_DTYPES} is not a table of names")
        return found

    def _header(self, name: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
        """(shape, column-major, dtype, offset of the values) of an array."""
        info = self._members[name]
        with self._archive.open(info) as stream:
            version = npy.read_magic(stream)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"{name!r} has NumPy format {version}; 1.0 and 2.0 are known")
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, by_columns, dtype = read(stream)
            start = stream.tell()
        if dtype.hasobject:
            raise ValueError(
                f"{name!r} holds Python objects, which only pickle could read, and pickle can run "
                "any code"
            )
        held = math.prod(shape) * dtype.itemsize == info.file_size - start
        if not held or min(shape, default=0) < 0:
            raise ValueError(f"{name!r} claims shape {shape}, and holds another number of bytes")
        return shape, by_columns, dtype, start

    def _read(self, name: str) -> np.ndarray:
        shape, by_columns, dtype, start = self._headers[name]
        with self._archive.open(self._members[name]) as stream:
            stream.read(start)
            values = stream.read()  # to the end, where the checksum is compared
        array = np.frombuffer(values, dtype).reshape(shape, order="F" if by_columns else "C")
        return as_named(array, self.specs[name][1])
