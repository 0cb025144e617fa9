"""A guard against silent slowness: what a traced step still computes in float32.

`leftovers(graph)` reads a step's graph and is all that a check of one's own needs;
`Programs` says once per run what it finds under half precision.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

import tensorflow as tf

from trainer import graphs

_PRODUCTS = ("MatMul", "BatchMatMul", "Einsum", "Conv2D", "Conv3D", "DepthwiseConv2d", "CudnnRNN")
_OUTSIDE = "outside of any layer"
# Scopes that TensorFlow opens around an operation, within the layer that calls for it.
_WRAPPERS = {"einsum", "convolution", "depthwise", "separable_conv2d", "Tensordot", "conv1d"}


class Leftover(NamedTuple):
    """Products of one layer that are slower than the precision asked for.

    Attributes:
        layer: its name scope, `"sequential/0/dense"`.
        what: `"float32 MatMul"`; or `"bfloat16 @ float32"`, which TensorFlow silently computes as a
            sparse product.
        times: how many there are in the graph, backward ones included.
    """

    layer: str
    what: str
    times: int


def leftovers(graph: tf.Graph, ignore: Collection[str] = ()) -> list[Leftover]:
    """The float32 matrix products and convolutions of a traced step, by layer.

    Args:
        graph: of a step, as `Loop.trace` gives it; functions that it calls are looked into.
        ignore: regular expressions of scopes in which float32 is as it should be (an optimizer's,
            a layer's that is kept in float32 on purpose); each for whole parts of a path.
    """
    meant = re.compile("|".join(f"(?:^|/)(?:{one})(?:/|$)" for one in ignore) or r"(?!)")
    found: Counter[tuple[str, str]] = Counter()
    for op in graphs.operations(graph):
        what = _what(op)
        if what is None:
            continue
        layer = _layer(op.name)
        if not meant.search(layer):
            found[layer, what] += 1
    return [Leftover(layer, what, times) for (layer, what), times in found.items()]


def sentence(found: Iterable[Leftover], compute_dtype: str) -> str:
    """What was found, for people."""
    listed = "; ".join(f"{where}: {what} ({times} times)" for where, what, times in found)
    return (
        f"layers compute in {compute_dtype}, but the step still computes in float32, at float32's "
        f"speed: {listed}. Cast what is fed to these products, or name a layer in "
        "Precision(keep=...) if it is meant."
    )


def _what(op: tf.Operation) -> str | None:
    if op.type == "SparseMatMul":
        a, b = (x.dtype.name for x in op.inputs)
        return f"{a} @ {b}" if a != b else None
    if not op.type.startswith(_PRODUCTS):
        return None
    floats = [x.dtype for x in op.inputs if x.dtype.is_floating]
    if not floats or any(dtype != tf.float32 for dtype in floats):
        return None
    return f"float32 {op.type.split('Backprop')[0]}"


def _layer(name: str) -> str:
    """The scope of the layer that an operation was made for, forward or backward."""
    parts = name.split("/")
    backward = [i for i, p in enumerate(parts) if _plain(p) in ("gradient_tape", "gradients")]
    parts = parts[backward[-1] + 1 : -2] if backward else parts[:-1]
    while parts and _plain(parts[-1]) in _WRAPPERS and len(parts) > 1:
        parts.pop()
    kept = [p for p in parts if _plain(p) not in ("while", "cond", "body", "PartitionedCall")]
    return "/".join(kept) or _OUTSIDE


def _plain(part: str) -> str:
    """A scope's name without the number that makes it unique."""
    head, _, tail = part.rpartition("_")
    return head if head and tail.isdigit() else part
