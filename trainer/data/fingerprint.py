"""What a source is, as a small JSON tree; and what differs between two of them, in human lines."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.convert import names_of
from trainer.data.pipeline import Step, functions_of, steps_of, value_of

READ_BYTES = 8 << 20  # of the values of arrays: all of smaller ones; 10 ms on the slower machines
BLOCKS = 64
_STRING_BYTES = 32  # guessed

# Of a pipeline: what changes its speed and not its batches, and what is named anew in each process.
_PLUMBING = {
    "CacheDataset",
    "CacheDatasetV2",
    "MaxIntraOpParallelismDataset",
    "ModelDataset",
    "OptionsDataset",
    "PrefetchDataset",
    "PrivateThreadPoolDataset",
}
_SPEED = {"num_parallel_calls", "num_parallel_batches", "prefetch_input_elements"}
_SPEED |= {"buffer_output_elements", "deterministic", "parallel_copy", "force_synchronous"}
_SPEED |= {"use_inter_op_parallelism", "use_unbounded_threadpool", "preserve_cardinality"}
_NAMES = {"metadata", "shared_name", "container", "token", "config", "config_proto", "hash"}
_NAMES |= {"executor_type", "debug_name", "replicate_on_split", "use_node_name_sharing", "address"}


def spec_lines(spec: Any) -> list[list[Any]]:
    """The element spec as JSON: `[name, shape, dtype]` of each leaf."""
    leaves = zip(names_of(spec, "batch"), tf.nest.flatten(spec), strict=True)
    return [
        [name, None if leaf.shape.rank is None else leaf.shape.as_list(), leaf.dtype.name]
        for name, leaf in leaves
    ]


def digest(arrays: Iterable[Any]) -> str:
    """A hash of arrays: dtypes, shapes and all values."""
    state = hashlib.sha256()
    for array in arrays:
        _update(state, np.asarray(array))
    return state.hexdigest()[:32]


def of_rows(spec: Any, n: int, rows: Callable[[int, int, int], Any]) -> dict[str, str]:
    """A hash of each array of `n` rows: of dtype, shape, and blocks of its rows.

    At most `READ_BYTES` are read of all arrays together. Small ones (labels, weights) come first
    and are read whole; of a larger one, `BLOCKS` blocks of rows that lie evenly spread, the first
    and the last row among them. So a change between the blocks goes unseen: of 200 MB, one row in
    25 is read. Other data, another preprocessing, another order of the rows is seen.

    Args:
        spec: nest of `tf.TensorSpec` of a batch.
        n: how many rows there are.
        rows: `rows(leaf, start, stop)` gives these rows of the leaf of that number.
    """
    leaves = tf.nest.flatten(spec)
    sizes = [
        int(np.prod(leaf.shape[1:], dtype=np.int64)) * (leaf.dtype.size or _STRING_BYTES)
        for leaf in leaves
    ]
    left, blocks = READ_BYTES, {}
    for k, at in enumerate(sorted(range(len(leaves)), key=lambda at: sizes[at])):
        share = left // (len(leaves) - k)
        blocks[at] = _blocks(n, max(sizes[at], 1), share)
        left -= sum(stop - start for start, stop in blocks[at]) * sizes[at]
    found = {}
    for at, name in enumerate(names_of(spec, "batch")):
        state = hashlib.sha256(repr((n, spec_lines(leaves[at]))).encode())
        for start, stop in blocks[at]:
            _update(state, np.asarray(rows(at, start, stop)))
        found[name] = state.hexdigest()[:32]
    return found


def of_pipeline(graph: Any) -> dict[str, Any]:
    """What a tf.data graph does, in the words that are the same in every process.

    Names, counters and handles are left out, and so is what only changes the speed (`prefetch`,
    `cache`, options, the number of threads). Of files, the names without their folders count.

    Returns:
        "pipeline": a line for each dataset. "operations": how many of each type the functions of
        the pipeline hold.
    """
    library = {function.signature.name: function for function in graph.library.function}
    lines, operations = [], Counter[str]()
    for step in steps_of(graph):
        if step.caller:
            operations[step.op] += step.op not in ("Const", "Identity", "NoOp")
        elif "Table" in step.op or ("Dataset" in step.op and step.op not in _PLUMBING):
            lines.append(_line(step, library))
    return {"pipeline": lines, "operations": dict(sorted((+operations).items()))}


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between a checkpoint's data and that at hand, one line for each; [] if nothing.

    Args:
        recorded: `fingerprint()` of the source of a checkpoint.
        now: `fingerprint()` of the source at hand.

    Example:
        >>> differences({"kind": "arrays", "batch size": 32}, {"kind": "arrays", "batch size": 64})
        ['batch size: 32 in the checkpoint, 64 now']
    """
    if recorded.get("kind") != now.get("kind"):
        return [_two("kind of data", recorded.get("kind"), now.get("kind"))]
    lines: list[str] = []
    for key in {**recorded, **now}:
        before, after = recorded.get(key), now.get(key)
        if before == after or key in ("values", "first batch"):
            continue
        compare = _COMPARE.get(key)
        both = before is not None and after is not None
        lines += compare(before, after) if compare and both else [_two(key, before, after)]
    if not lines:  # else they follow from what is told already
        lines += _compare_values(recorded.get("values") or {}, now.get("values") or {})
        if recorded.get("first batch") != now.get("first batch"):
            lines.append("first batch: it holds other values than in the checkpoint")
    return lines


def _update(state: Any, array: np.ndarray) -> None:
    if array.dtype.kind in "OUS":
        words = [v.encode() if isinstance(v, str) else bytes(v) for v in array.ravel()]
        lengths = np.array([len(word) for word in words], np.int64)
        state.update(repr(("string", array.shape)).encode())
        state.update(lengths.tobytes() + b"".join(words))
        return
    state.update(repr((array.dtype.name, array.shape)).encode())
    state.update(np.ascontiguousarray(array).tobytes())


def _blocks(n: int, row_bytes: int, budget: int) -> list[tuple[int, int]]:
    """Blocks of rows of about `budget` bytes, the first and the last row among them."""
    if n * row_bytes <= budget:
        return [(0, n)]
    count = max(2, min(BLOCKS, budget // row_bytes, n))
    size = min(max(1, budget // (count * row_bytes)), n // count)
    if size == 0:
        return [(0, n)]
    starts = np.linspace(0, n - size, count).astype(np.int64)
    return [(int(start), int(start) + size) for start in starts]


def _line(step: Step, library: Mapping[str, Any]) -> str:
    parts = [
        f"{argument}={_constant(tensor)}"
        for argument, tensor in step.constants.items()
        if argument not in _SPEED | _NAMES and argument != "filename"
    ]
    parts += [
        f"{name}={value}"
        for name, value in _attributes(step.node)
        if "output" not in name and not name.startswith("T")
    ]
    parts += [f"function={_function(name, library)}" for name in functions_of(step.node)]
    stem, _, _ = step.op.partition("Dataset")
    return f"{stem.removeprefix('Parallel')}({', '.join(parts)})"


def _attributes(node: Any) -> list[tuple[str, str]]:
    """The attributes that are no names, in their order."""
    found = []
    for name in sorted(node.attr):
        value = node.attr[name]
        told = name.startswith("_") or name in _SPEED | _NAMES or value.HasField("tensor")
        if not (told or value.HasField("func") or value.list.func):
            text = value.SerializeToString(deterministic=True)
            kind = value.WhichOneof("value")
            if kind == "s":
                found.append((name, value.s.decode(errors="replace")))
            else:
                plain = kind in ("i", "f", "b")
                found.append((name, str(getattr(value, kind)) if plain else _short(text)))
    return found


def _constant(tensor: Any) -> str:
    if tensor.dtype == tf.string.as_datatype_enum:
        files = [os.path.basename(value) for value in tensor.string_val]
        return files[0].decode(errors="replace") if len(files) == 1 else _short(b"\0".join(files))
    if tensor.dtype in (tf.resource.as_datatype_enum, tf.variant.as_datatype_enum):
        return tf.as_dtype(tensor.dtype).name
    value = value_of(tensor)
    if value is not None:
        return str(value.tolist())
    shape = [axis.size for axis in tensor.tensor_shape.dim]
    # The bytes in place, without a copy, whose rows are of one byte.
    data = np.frombuffer(tensor.tensor_content or tensor.SerializeToString(), np.uint8)
    state = hashlib.sha256()
    for start, stop in _blocks(len(data), 1, READ_BYTES):
        state.update(data[start:stop].tobytes())
    return f"{tf.as_dtype(tensor.dtype).name}{shape} {state.hexdigest()[:12]}"


def _function(name: str, library: Mapping[str, Any]) -> str:
    """A hash of what a function computes: the operations, in any order, and their attributes."""
    entries = []
    for node in library[name].node_def:
        tensors = [_constant(node.attr["value"].tensor)] if node.op == "Const" else []
        inner = [_function(called, library) for called in functions_of(node) if called in library]
        entries.append(repr((node.op, _attributes(node), tensors, inner)))
    return _short("\n".join(sorted(entries)).encode())


def _short(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:12]


def _two(key: str, before: Any, after: Any) -> str:
    shown = ["nothing" if value is None else _shown(value) for value in (before, after)]
    return f"{key}: {shown[0]} in the checkpoint, {shown[1]} now"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _compare_spec(before: list, after: list) -> list[str]:
    old = {name: f"{dtype}{shape}" for name, shape, dtype in before}
    new = {name: f"{dtype}{shape}" for name, shape, dtype in after}
    return [
        _two(name, old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def _compare_pipeline(before: list[str], after: list[str]) -> list[str]:
    lines = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
        if tag != "equal":
            old, new = " -> ".join(before[i:j]) or None, " -> ".join(after[k:m]) or None
            lines.append(_two("pipeline", old, new))
    return lines


def _compare_operations(before: dict, after: dict) -> list[str]:
    names = [name for name in {**before, **after} if before.get(name, 0) != after.get(name, 0)]
    return [
        _two(f"{name} operations in functions", before.get(name, 0), after.get(name, 0))
        for name in sorted(names)
    ]


def _compare_values(before: Mapping, after: Mapping) -> list[str]:
    return [
        f"{name}: it holds other values than in the checkpoint"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


_COMPARE: dict[str, Callable[[Any, Any], list[str]]] = {
    "spec": _compare_spec,
    "pipeline": _compare_pipeline,
    "operations": _compare_operations,
}
