"""Tensors in files: TensorFlow's own format, written and read whole, and hashes of values.

`tf.train.load_checkpoint(prefix)` reads what is written here.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Mapping
from concurrent import futures
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.checkpoint.errors import CheckpointError, CorruptCheckpointError
from trainer.checkpoint.files import cause
from trainer.checkpoint.manifest import DTYPES, Value, check_name

# Errors that say nothing about the files themselves.
_NOT_THE_FILE = (
    tf.errors.PermissionDeniedError,
    tf.errors.UnavailableError,
    tf.errors.ResourceExhaustedError,
)


def check_values(values: Mapping[str, Any]) -> None:
    """Raises unless all of these can be written.

    Raises:
        TypeError: one is no eager tensor, or its dtype is no state (a handle, a variant).
        ValueError: there is none, or a name cannot be one.
    """
    if not values:
        raise ValueError("values is empty: there is nothing to keep in a checkpoint.")
    for name, tensor in values.items():
        check_name(name)
        if not isinstance(tensor, tf.Tensor) or not hasattr(tensor, "numpy"):
            raise TypeError(
                f"values[{name!r}] is a {type(tensor).__name__}; it must be an eager tensor, such "
                "as `variable.read_value()`."
            )
        if tensor.dtype.name not in DTYPES:
            raise TypeError(
                f"values[{name!r}] has dtype {tensor.dtype.name}, which cannot be kept in a "
                f"checkpoint; these can: {', '.join(DTYPES)}."
            )


def write(prefix: str, values: Mapping[str, tf.Tensor]) -> None:
    """Writes `prefix.index` and `prefix.data-00000-of-00001`, without a copy of the tensors."""
    with tf.device("CPU:0"):
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=list(values),
            shape_and_slices=[""] * len(values),
            tensors=list(values.values()),
        )


def read(prefix: str, values: Mapping[str, Value]) -> dict[str, tf.Tensor]:
    """Reads these tensors, and holds each against its hash.

    Raises:
        CorruptCheckpointError: one cannot be read, or is not what was written.
    """
    if not values:
        return {}
    try:
        with tf.device("CPU:0"):
            tensors = tf.raw_ops.RestoreV2(
                prefix=prefix,
                tensor_names=list(values),
                shape_and_slices=[""] * len(values),
                dtypes=[tf.as_dtype(value.dtype) for value in values.values()],
            )
    except tf.errors.OpError as error:
        raise _unreadable(prefix, error) from error
    found = dict(zip(values, tensors, strict=True))
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:  # nobody else needs the cores now
        for name, sha256 in zip(found, pool.map(hash_value, tensors), strict=True):
            if sha256 != values[name].sha256:
                raise CorruptCheckpointError(f"the value {name!r} is not what was written.")
    return found


def check(prefix: str, values: Mapping[str, Value]) -> None:
    """Raises unless the files' own index lists exactly these names, shapes and dtypes.

    Raises:
        CorruptCheckpointError: it does not, or cannot be read; the message names the first value.
    """
    listed = {name: (value.shape, value.dtype) for name, value in values.items()}
    reader = open_reader(prefix)
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    found = {name: (tuple(shape), dtypes[name].name) for name, shape in shapes.items()}
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            raise CorruptCheckpointError(
                f"the value {name!r} is {_shown(found.get(name))} in TensorFlow's files "
                f"and {_shown(listed.get(name))} in the manifest."
            )


def open_reader(prefix: str) -> Any:
    """TensorFlow's reader of the files: `get_tensor(name)` gives an array.

    Raises:
        CorruptCheckpointError: they cannot be read.
    """
    try:
        return tf.compat.v1.train.NewCheckpointReader(prefix)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise _unreadable(prefix, error) from error


def hash_value(tensor: Any) -> str:
    """SHA-256 of a tensor's elements: their bytes as they lie in memory, row by row.

    Of strings: of each its length, 8 bytes little-endian, and its bytes. No copy is made of a
    tensor on the CPU.
    """
    array = np.asarray(tensor)
    if array.dtype == object:
        digest = hashlib.sha256()
        for item in array.reshape(-1):
            digest.update(struct.pack("<Q", len(item)))
            digest.update(item)
        return digest.hexdigest()
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()


def describe(values: Mapping[str, tf.Tensor], weights: Iterable[str]) -> dict[str, Value]:
    """What the manifest tells of these tensors; reads each once."""
    weights = frozenset(weights)
    return {
        name: Value(
            shape=tuple(tensor.shape),
            dtype=tensor.dtype.name,
            sha256=hash_value(tensor),
            weight=name in weights,
        )
        for name, tensor in values.items()
    }


def _shown(found: tuple[tuple[int, ...], str] | None) -> str:
    return "missing" if found is None else f"{found[1]} {list(found[0])}"


def _unreadable(prefix: str, error: BaseException) -> CheckpointError:
    if isinstance(error, _NOT_THE_FILE):
        return CheckpointError(f"{prefix} cannot be read: {cause(error)}.")
    return CorruptCheckpointError(f"TensorFlow cannot read it: {cause(error)}.")
