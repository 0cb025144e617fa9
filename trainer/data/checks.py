"""Checks on the host, before anything is compiled: an error names argument, value and way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.convert import names_of

_AT_ONCE = 1 << 22  # elements looked at in one go, so that a check costs no second copy of the data


def check_batch_size(batch_size: Any, argument: str = "batch_size") -> int:
    """A positive int, or an error."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
        kind = type(batch_size).__name__
        raise TypeError(f"{argument} is {batch_size!r}, a {kind}; it must be a positive int.")
    if batch_size < 1:
        raise ValueError(f"{argument} is {batch_size}; it must be a positive int, such as 32.")
    return int(batch_size)


def check_lengths(parts: Mapping[str, Any]) -> int:
    """The number of rows that all leaves of all arguments share.

    Args:
        parts: argument name -> nest of arrays; those that are None are left out.

    Raises:
        ValueError: nothing there, a scalar, no rows, or different numbers of rows.
    """
    rows: dict[str, int] = {}
    for argument, tree in parts.items():
        if tree is None:
            continue
        leaves = tf.nest.flatten(tree)
        if not leaves:
            raise ValueError(f"{argument} holds no array: it is {tree!r}. Pass at least one array.")
        for leaf, name in zip(leaves, names_of(tree, argument), strict=True):
            if len(leaf.shape) == 0:
                raise ValueError(
                    f"{name} is a scalar ({_shown(leaf)}); arrays need a first axis that counts "
                    "the examples. Pass an array of shape [examples, ...]."
                )
            rows[name] = int(leaf.shape[0])
    if len(set(rows.values())) > 1:
        listing = ", ".join(f"{name}: {n}" for name, n in rows.items())
        raise ValueError(
            f"The arrays have different numbers of rows ({listing}); the first axis of each counts "
            "the examples and must be the same for all."
        )
    name, n = next(iter(rows.items()))
    if n == 0:
        raise ValueError(
            f"{name} has no rows; at least one example is needed. Is a filter too strict?"
        )
    return n


def check_weights(sample_weight: Any, argument: str = "sample_weight") -> None:
    """Weights must be numbers without NaN; negative ones are allowed.

    Raises:
        TypeError: strings or complex numbers.
        ValueError: a scalar per argument in place of one per example, or NaN.
    """
    for leaf, name in zip(
        tf.nest.flatten(sample_weight), names_of(sample_weight, argument), strict=True
    ):
        if _kind(leaf) not in "biuf":
            raise TypeError(
                f"{name} has dtype {_dtype(leaf)}; weights are numbers. Pass one float per example."
            )
        row = _first_nan(leaf)
        if row is not None:
            raise ValueError(
                f"{name} is NaN at row {row}; weights must be numbers. Use 0 for an example that "
                "shall not count."
            )


def check_weight_shape(sample_weight: Any, y: Any, argument: str = "sample_weight") -> None:
    """Weights must not have more axes than the targets they weigh, and fit those they share.

    Raises:
        ValueError: weights of another shape than `[b]`, `[b, 1]` or a leading part of the target's.
    """
    weights, targets = tf.nest.flatten(sample_weight), tf.nest.flatten(y)
    names = names_of(sample_weight, argument)
    if len(weights) not in (1, len(targets)):
        raise ValueError(
            f"{argument} holds {len(weights)} arrays and y holds {len(targets)}; pass one array "
            "of weights for all targets, or one for each."
        )
    if len(weights) == 1:
        weights, names = weights * len(targets), names * len(targets)
    for weight, name, target in zip(weights, names, targets, strict=True):
        shape, wanted = tuple(weight.shape[1:]), tuple(target.shape[1:])
        while shape and shape[-1] == 1 and len(shape) >= max(len(wanted), 1):
            shape = shape[:-1]
        fits = len(shape) <= max(len(wanted), 0) and all(
            a in (1, b) for a, b in zip(shape, wanted, strict=False)
        )
        if not fits:
            raise ValueError(
                f"{name} has shape {tuple(weight.shape)}, which does not fit the targets of shape "
                f"{tuple(target.shape)}; pass one weight per example, [{weight.shape[0]}], or one "
                "per target value."
            )


def check_targets(y: Any, argument: str = "y") -> None:
    """Floating targets must hold no NaN.

    Raises:
        ValueError: it holds one: the loss would be NaN from that step on.
    """
    for leaf, name in zip(tf.nest.flatten(y), names_of(y, argument), strict=True):
        row = _first_nan(leaf)
        if row is not None:
            raise ValueError(
                f"{name} is NaN at row {row}, which makes the loss NaN; targets must be numbers. "
                "Drop or impute such rows, or give them a finite target and sample_weight 0."
            )


def check_labels(y: Any, classes: int, argument: str = "y", allowed: tuple[int, ...] = ()) -> None:
    """Labels of a sparse loss must be whole numbers in `[0, classes)`.

    Args:
        y: labels, of any shape and any integer dtype, or floats without a fraction.
        classes: how many classes the predictions have.
        argument: the labels' name in messages.
        allowed: values outside the range that are meant, such as an `ignore_class` of -1.

    Raises:
        TypeError: strings or complex numbers.
        ValueError: NaN, a fraction, or a label outside of the range.
    """
    for leaf, name in zip(tf.nest.flatten(y), names_of(y, argument), strict=True):
        if _kind(leaf) not in "biuf":
            raise TypeError(
                f"{name} has dtype {_dtype(leaf)}; class labels are integers in [0, {classes}). "
                "Map the names to integers first, for example by numpy.unique(y, "
                "return_inverse=True)."
            )
        for start, part in _parts(leaf):
            known = np.isin(part, allowed) if allowed else np.zeros(part.shape, bool)
            with np.errstate(invalid="ignore"):
                whole = (
                    part == np.floor(part) if part.dtype.kind == "f" else np.ones(part.shape, bool)
                )
                outside = ~known & ~(whole & (part >= 0) & (part < classes))
            if outside.any():
                at = np.argwhere(outside)[0]
                _refuse_label(name, part[tuple(at)], start + int(at[0]), classes)


def check_compilable(element_spec: Any, argument: str = "x") -> None:
    """XLA compiles no strings.

    Raises:
        TypeError: a component of the data is strings.
    """
    for spec, name in zip(
        tf.nest.flatten(element_spec), names_of(element_spec, argument), strict=True
    ):
        if spec.dtype == tf.string:
            raise TypeError(
                f"{name} holds strings, which XLA cannot compile; allowed are numbers and "
                "booleans. Turn the strings into integers first (a lookup or tokenizer in a "
                "tf.data map), or pass jit=False."
            )


def refuse(argument: str, value: Any, data: str, kind: str, way: str) -> None:
    """An argument that a kind of data does not take must be None.

    Raises:
        ValueError: it is not.
    """
    if value is not None:
        shown = repr(value) if np.isscalar(value) else "given"
        raise ValueError(
            f"{argument} is {shown}, but {data} is {kind}; {argument} must be None then. {way}"
        )


def _shown(leaf: Any) -> str:
    text = repr(leaf.numpy() if tf.is_tensor(leaf) else leaf.item())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _refuse_label(name: str, value: Any, row: int, classes: int) -> None:
    where = f"{name} is {value} at row {row}"
    if np.isnan(value):
        raise ValueError(f"{where}; class labels are integers in [0, {classes}). Drop such rows.")
    if value != np.floor(value):
        raise ValueError(
            f"{where}, a fraction; class labels are integers in [0, {classes}). For targets that "
            "are not classes use a regression loss, and for one-hot ones a categorical loss."
        )
    way = (
        "Count from 0 (subtract the smallest label)"
        if value == classes
        else "Map the labels to 0, 1, 2, ..."
    )
    raise ValueError(
        f"{where}; class labels are integers in [0, {classes}), as the predictions have {classes} "
        f"classes. {way}, or give the last layer more units."
    )


def _parts(leaf: Any) -> Any:
    """Pairs (first row, rows) of NumPy views, of a bounded size."""
    array = leaf.numpy() if tf.is_tensor(leaf) else leaf
    if array.ndim == 0:
        array = array[np.newaxis]
    width = max(1, int(np.prod(array.shape[1:], dtype=np.int64)))
    at_once = max(1, _AT_ONCE // width)
    for start in range(0, len(array), at_once):
        yield start, np.asarray(array[start : start + at_once])


def _first_nan(leaf: Any) -> int | None:
    if _kind(leaf) not in "fc":
        return None
    for start, part in _parts(leaf):
        bad = np.isnan(part)
        if bad.any():
            return start + int(np.argwhere(bad)[0][0])
    return None


def _dtype(leaf: Any) -> str:
    return leaf.dtype.name if tf.is_tensor(leaf) else str(leaf.dtype)


def _kind(leaf: Any) -> str:
    """NumPy's letter for the kind of dtype, with bfloat16 among the floats."""
    dtype = tf.as_dtype(leaf.dtype) if _is_known(leaf) else tf.string
    if dtype.is_floating:
        return "f"
    return "O" if dtype == tf.string else np.dtype(dtype.as_numpy_dtype).kind


def _is_known(leaf: Any) -> bool:
    return tf.is_tensor(leaf) or leaf.dtype.kind not in "OUS"
