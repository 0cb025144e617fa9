"""Arguments of windows that slide over an input: sizes, paddings, and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from .base import Layer
from .core import positive_int


def sizes(argument: str, value: int | Sequence[int], n: int, least: int = 1) -> tuple[int, ...]:
    """`value` as n integers of `least` or more."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * n
    if len(values) != n:
        raise ValueError(f"{argument} must be one positive integer or {n} of them, got {value!r}")
    if least == 1:
        return tuple(positive_int(argument, v) for v in values)
    if any(isinstance(v, bool) or int(v) != v or v < least for v in values):
        raise ValueError(f"{argument} must hold integers of {least} or more, got {value!r}")
    return tuple(int(v) for v in values)


def one_of(argument: str, value: str, allowed: Sequence[str]) -> str:
    """`value` in lower case, if it is allowed."""
    if not isinstance(value, str) or value.lower() not in allowed:
        raise ValueError(f"{argument} must be one of {list(allowed)}, got {value!r}")
    return value.lower()


def check_window(strides: Sequence[int], dilation_rate: Sequence[int]) -> None:
    """Raises if a window both strides and dilates."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            "only one of strides and dilation_rate may exceed 1, got "
            f"strides={tuple(strides)}, dilation_rate={tuple(dilation_rate)}"
        )


def check_extent(
    layer: Layer, x: tf.Tensor, window: Sequence[int], dilation: Sequence[int], padding: str
) -> None:
    """Raises if a window without padding is larger than the input."""
    if padding != "valid":
        return
    for size, k, d in zip(x.shape[1:-1], window, dilation, strict=True):
        reach = (k - 1) * d + 1
        if size is not None and size < reach:
            raise ValueError(
                f"{layer._label()} slides a window that spans {reach} over an axis of size {size} "
                f"(input shape {x.shape}); use padding='same', a smaller window or a larger input"
            )
