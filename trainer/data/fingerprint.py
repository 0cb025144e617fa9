"""What a source is, as a small JSON tree; and what differs between two of them, in human lines."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.convert import names_of
from trainer.data.hashes import short
from trainer.data.pipeline import Pipeline, Step, functions_of, tensor_of, value_of

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


def of_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    """What a tf.data pipeline does, in the words that are the same in every process.

    Names, counters and handles are left out, and so is what only changes the speed (`prefetch`,
    `cache`, options, the number of threads). Of files, the names without their folders count.

    Returns:
        "pipeline": a line for each dataset. "operations": how many of each type the functions of
        the pipeline hold.
    """
    library = {function.signature.name: function for function in pipeline.graph.library.function}
    lines, operations = [], Counter[str]()
    for step in pipeline.steps():
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
        old, new = recorded.get("first batch"), now.get("first batch")
        if old != new and None not in (old, new):  # None: it does not come again
            lines.append("first batch: it holds other values than in the checkpoint")
    return lines


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
            kind = value.WhichOneof("value")
            if kind in ("i", "f", "b"):
                shown = str(getattr(value, kind))
            elif kind == "s":
                shown = value.s.decode(errors="replace")
            else:  # shapes, types, lists
                shown = short(value.SerializeToString(deterministic=True))
            found.append((name, shown))
    return found


def _constant(tensor: Any) -> str:
    shape = tf.TensorShape(tensor.tensor_shape).as_list()
    kind = f"{tf.as_dtype(tensor.dtype).name}{shape}"
    if tensor.dtype == tf.string.as_datatype_enum:
        names = [os.path.basename(text) for text in np.asarray(tensor_of(tensor)).flat]
        return (
            f"{kind} {short(repr(names).encode())}" if shape else names[0].decode("utf8", "replace")
        )
    value = value_of(tensor)
    return f"{kind} {short(tensor.SerializeToString())}" if value is None else str(value.tolist())


def _function(name: str, library: Mapping[str, Any]) -> str:
    """A hash of what a function computes: the operations, in any order, and their attributes."""
    entries = []
    for node in library[name].node_def:
        tensors = [_constant(node.attr["value"].tensor)] if node.op == "Const" else []
        inner = [_function(called, library) for called in functions_of(node) if called in library]
        entries.append(repr((node.op, _attributes(node), tensors, inner)))
    return short("\n".join(sorted(entries)).encode())


def _two(key: str, before: Any, after: Any) -> str:
    old, new = ("nothing" if value is None else value for value in (before, after))
    return f"{key}: {old} in the checkpoint, {new} now"


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
