"""From what users pass (arrays, tensors, data frames, lists, nests) to arrays and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64  # bytes; what Eigen and XLA want of a buffer they read in place
_SCALARS = (bool, int, float, complex, str, bytes, np.generic)


def to_arrays(tree: Any, argument: str) -> Any:
    """Turns the leaves of a nest into `np.ndarray` or dense `tf.Tensor`, without copying arrays.

    A list that holds numbers (or lists of numbers) is one array; any other list, a tuple and a dict
    are structure. Data frames and tensors of other libraries are read through `to_numpy()` and
    `__array__`.

    Args:
        tree: the nest.
        argument: its name in error messages.

    Raises:
        TypeError: a leaf is sparse, ragged, no array, or of a dtype that TensorFlow has not.
        ValueError: a list of numbers is ragged.
    """
    if isinstance(tree, Mapping):
        return {key: to_arrays(value, f"{argument}[{key!r}]") for key, value in tree.items()}
    if isinstance(tree, list) and _holds_numbers(tree):
        return _from_numbers(tree, argument)
    if isinstance(tree, tuple | list):
        parts = [to_arrays(value, f"{argument}[{i}]") for i, value in enumerate(tree)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return to_array(tree, argument)


def to_array(value: Any, argument: str) -> Any:
    """One leaf of `to_arrays`."""
    if isinstance(value, tf.Variable):
        value = tf.convert_to_tensor(value)
    if tf.is_tensor(value):
        return _dense(value, argument)
    if hasattr(value, "to_numpy"):  # pandas and its like
        value = value.to_numpy()
    elif hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(
            f"{argument} is a sparse {type(value).__name__} of shape {value.shape}; dense arrays "
            f"are allowed. Pass {argument}.toarray(), or a generator that makes each batch dense."
        )
    if not isinstance(value, np.ndarray):
        if not hasattr(value, "__array__") and not isinstance(value, _SCALARS):
            raise TypeError(
                f"{argument} is a {type(value).__name__}; arrays, tensors, data frames, lists of "
                "numbers, and dicts, tuples or lists of these are allowed."
            )
        value = np.asarray(value)
    return _plain_dtype(value, argument)


def final_dtype(leaf: Any) -> tf.DType:
    """The dtype a leaf has on the device: float32 for float64 (as Keras), else its own."""
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OUS":
        return tf.string
    dtype = tf.as_dtype(leaf.dtype)
    return tf.float32 if dtype == tf.float64 else dtype


def final_bytes(leaf: Any) -> int:
    """How much memory a leaf takes on the device beyond what it takes already."""
    dtype = final_dtype(leaf)
    if tf.is_tensor(leaf):
        return 0 if leaf.dtype == dtype else int(tf.size(leaf)) * dtype.size
    return int(leaf.size) * (32 if dtype == tf.string else dtype.size)


def spec_of(leaf: Any) -> tf.TensorSpec:
    """The spec of a leaf's batches: its shape with the first axis open."""
    return tf.TensorSpec([None, *leaf.shape[1:]], final_dtype(leaf))


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array whose buffer TensorFlow can read in place."""
    if dtype.kind in "OUS":
        return np.full(shape, b"", dtype=object)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def as_tensor(owned: np.ndarray) -> tf.Tensor:
    """A tensor on the default device, without a copy where the device is the host.

    `owned` must come from `aligned_empty`, and nobody may write into it afterwards.
    """
    if owned.dtype.kind == "O" or owned.size == 0:
        return tf.constant(owned)
    try:
        return tf.identity(tf.experimental.dlpack.from_dlpack(owned.__dlpack__()))
    except Exception:  # a dtype that the exchange does not know, such as bfloat16
        return tf.constant(owned)


def place(leaf: Any, rows: slice | None = None) -> tf.Tensor:
    """A leaf (or some of its rows) as a device tensor of its final dtype: one copy, or none."""
    part = leaf if rows is None else leaf[rows]
    dtype = final_dtype(leaf)
    if tf.is_tensor(part):
        return tf.identity(tf.cast(part, dtype))
    if dtype == tf.string:
        return tf.constant(part.tolist() if part.size else part, tf.string, shape=part.shape)
    owned = aligned_empty(part.shape, np.dtype(dtype.as_numpy_dtype))
    np.copyto(owned, part, casting="unsafe")
    return as_tensor(owned)


def names_of(tree: Any, argument: str) -> list[str]:
    """How a user would write each leaf of a nest, in the order of `tf.nest.flatten`."""
    if isinstance(tree, Mapping):
        return [n for key in sorted(tree) for n in names_of(tree[key], f"{argument}[{key!r}]")]
    if isinstance(tree, tuple | list):
        return [n for i, part in enumerate(tree) for n in names_of(part, f"{argument}[{i}]")]
    return [argument]


def _holds_numbers(values: list) -> bool:
    while isinstance(values, list) and values:
        values = values[0]
    return isinstance(values, _SCALARS)


def _from_numbers(values: list, argument: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(
            f"{argument} is a list of lists of different lengths; an array needs equal ones. Pad "
            "the rows, or pass a generator of batches."
        ) from None
    return _plain_dtype(array, argument)


def _dense(tensor: Any, argument: str) -> tf.Tensor:
    if isinstance(tensor, tf.SparseTensor):
        way = f"tf.sparse.to_dense({argument})"
    elif isinstance(tensor, tf.RaggedTensor):
        way = f"{argument}.to_tensor(), which pads"
    else:
        return tensor
    raise TypeError(
        f"{argument} is a {type(tensor).__name__}; dense arrays and tensors are allowed. Pass "
        f"{way}."
    )


def _plain_dtype(array: np.ndarray, argument: str) -> np.ndarray:
    kind = array.dtype.kind
    if kind == "O" and not all(isinstance(v, str | bytes) for v in array.flat):
        odd = [v for v in array.flat if not isinstance(v, _SCALARS)] or list(array.flat[:1])
        raise TypeError(
            f"{argument} has dtype object and holds {odd[0]!r:.40}; arrays of one dtype are "
            "allowed: numbers, booleans or strings. Fill what is missing and convert it, for "
            f"example by {argument}.astype('float32')."
        )
    if kind in "OUS":
        return array
    try:
        tf.as_dtype(array.dtype)
    except TypeError:
        raise TypeError(
            f"{argument} has dtype {array.dtype}, which TensorFlow has not; numbers, booleans and "
            f"strings are allowed. Convert it, for example by {argument}.astype('float32')."
        ) from None
    return array
