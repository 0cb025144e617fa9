"""Which way of compiling is fastest here: told from the graph, or measured where it leaves doubt.

A decision never depends on a noisy clock twice: what was measured is remembered on disk, so the
same script gives the same bits on the same machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pathlib
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from trainer import graphs

# What a step costs on CPU in TensorFlow's executor, as orders of magnitude. They decide only how
# long a run must be for a compilation to pay, and whether launching or computing dominates.
_LAUNCH_SECONDS = 4e-6  # per operation
_FLOPS_PER_SECOND = 1.5e11
_COMPILE_SECONDS = 0.5  # of any program, and
_COMPILE_SECONDS_PER_OP = 2e-3
_TURNS = 32  # of a loop within a step, whose number the graph does not tell
_TRIAL = 20  # trying out costs two compilations; a run must last so many times that
_WORTH_IT = 0.95  # XLA must be this much faster when measured
_ROUNDS = 5
_ROUND_SECONDS = 0.1

# Costs nothing at run time, or is folded away before.
_FREE = {
    "Const",
    "Placeholder",
    "Identity",
    "IdentityN",
    "NoOp",
    "Shape",
    "StopGradient",
    "Reshape",
}
_FREE |= {"ReadVariableOp", "Pack", "StridedSlice", "Size", "ExpandDims", "Squeeze"}
_CONVOLUTIONS = ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MaxPool", "AvgPool")
_HOST_ONLY = ("PyFunc", "EagerPyFunc", "DecodeJpeg", "StringJoin", "StringSplit", "AsString")
_MATRIX_PRODUCTS = {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"}


class Choice(NamedTuple):
    """A way of compiling, and why."""

    mode: str  # "graph", "step" or "loop"
    reason: str
    settled: bool = True  # False: only for this run's length; a longer one decides anew


class Cost(NamedTuple):
    """What the graph of one step tells about its cost."""

    operations: int
    flops: float
    convolutions: int
    loops: int
    host_only: tuple[str, ...]

    @property
    def launch_seconds(self) -> float:
        """Rough time TensorFlow's executor spends on starting operations."""
        return self.operations * _LAUNCH_SECONDS * (_TURNS if self.loops else 1)

    @property
    def seconds(self) -> float:
        """Rough time of one step in TensorFlow's executor."""
        return self.launch_seconds + self.flops / _FLOPS_PER_SECOND

    @property
    def launch_bound(self) -> bool:
        """Whether starting operations takes most of a step; not known where a step has loops."""
        return not self.loops and self.flops / _FLOPS_PER_SECOND < self.launch_seconds

    @property
    def compile_seconds(self) -> float:
        """Rough time XLA takes to compile it."""
        return _COMPILE_SECONDS + self.operations * _COMPILE_SECONDS_PER_OP


def cost_of(graph: tf.Graph) -> Cost:
    """Counts operations and multiplications of a step's graph, nested functions included."""
    operations = convolutions = loops = 0
    flops = 0.0
    host_only: set[str] = set()
    for op in graphs.operations(graph):
        if op.type in _FREE:
            continue
        operations += 1
        convolutions += op.type.startswith(_CONVOLUTIONS)
        loops += op.type in ("While", "StatelessWhile")
        if op.type.startswith(_HOST_ONLY):
            host_only.add(op.type)
        if op.type in _MATRIX_PRODUCTS:
            flops += _product_flops(op)
    return Cost(operations, flops, convolutions, loops, tuple(sorted(host_only)))


def decide(cost: Cost, steps: int | None, on_cpu: bool) -> Choice | None:
    """Decides where the graph alone leaves no doubt; None: measure.

    Args:
        cost: of one step.
        steps: how many steps this run will make, None when it is not known (taken as many).
        on_cpu: whether there is no accelerator.
    """
    if cost.host_only:
        return Choice("graph", f"{', '.join(cost.host_only)} runs on the host, XLA refuses it")
    if on_cpu and cost.convolutions:
        return Choice("graph", "convolutions on CPU are several times slower under XLA")
    ahead = float("inf") if steps is None else steps
    if on_cpu and cost.launch_bound:
        if cost.launch_seconds * ahead > cost.compile_seconds:
            return Choice("loop", "steps this small are bound by launching operations")
        why = f"{steps} steps this small are over before a compilation is won back"
        return Choice("graph", why, settled=False)
    if cost.seconds * ahead < _TRIAL * cost.compile_seconds:
        return Choice("graph", f"{steps} steps are too few to try other ways", settled=False)
    return None


def measure(candidates: Mapping[str, Callable[[int], object]], most_steps: int) -> Choice:
    """Times ways of compiling in turns, and keeps XLA only where it wins clearly.

    Args:
        candidates: mode -> `run(n)`, which makes n steps; "graph" among them.
        most_steps: the most steps one run may make.
    """
    runs, failed = dict(candidates), {}
    steps = 1
    for mode in candidates:
        try:
            runs[mode](1)
        except tf.errors.OpError as error:
            if mode == "graph":
                raise
            failed[mode] = first_line(error)
            del runs[mode]
    begun = time.perf_counter()
    runs["graph"](1)
    steps = max(1, min(most_steps, int(_ROUND_SECONDS / (time.perf_counter() - begun))))
    seconds: dict[str, list[float]] = {mode: [] for mode in runs}
    for _ in range(_ROUNDS):
        for mode, run in runs.items():
            begun = time.perf_counter()
            run(steps)
            seconds[mode].append((time.perf_counter() - begun) / steps)
    medians = {mode: statistics.median(times) for mode, times in seconds.items()}
    best = min(medians, key=lambda mode: medians[mode])
    if medians[best] > _WORTH_IT * medians["graph"]:
        best = "graph"
    said = ", ".join(f"{mode} {1e3 * t:.3g} ms" for mode, t in medians.items())
    said += "".join(f", {mode} does not compile ({why})" for mode, why in failed.items())
    return Choice(best, f"measured per step: {said}")


def first_line(error: BaseException, length: int = 160) -> str:
    """An error's first line, for a message of one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:length] if lines else type(error).__name__


def fingerprint(graph: tf.Graph) -> str:
    """Names the program of a step on this machine: operations, shapes, processor, versions."""
    digest = hashlib.sha256()
    for op in graphs.operations(graph):
        shapes = [str(x.shape) for x in op.outputs]
        digest.update(f"{op.type} {shapes}\n".encode())
    devices = [d.device_type for d in tf.config.list_logical_devices()]
    machine = (platform.machine(), _processor(), os.cpu_count(), devices, tf.__version__)
    digest.update(repr(machine).encode())
    return digest.hexdigest()[:32]


def recall(key: str) -> Choice | None:
    """The choice measured earlier for this program, if any."""
    try:
        entry = json.loads((_folder() / f"{key}.json").read_text())
        return Choice(entry["mode"], entry["reason"])
    except (OSError, ValueError, KeyError):
        return None  # never measured, or unreadable: measure


def remember(key: str, choice: Choice) -> str | None:
    """Keeps a measured choice for the next run; says why if that was not possible."""
    try:
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, suffix=".tmp") as file:
            json.dump(choice._asdict(), file)
        os.replace(file.name, folder / f"{key}.json")
    except OSError as error:
        return f"the choice of compile mode could not be kept for the next run: {error}"
    return None


def _folder() -> pathlib.Path:
    """`$GRADLOOP_CACHE_DIR`, or the user's cache folder."""
    if own := os.environ.get("GRADLOOP_CACHE_DIR"):
        return pathlib.Path(own) / "plans"
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "gradloop" / "plans"


def _processor() -> str:
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor()


def _product_flops(op: tf.Operation) -> float:
    """2 x the product of all sizes that take part, where they are known."""
    out, first = op.outputs[0].shape, op.inputs[0].shape
    if not out.is_fully_defined() or not first.is_fully_defined():
        return 0.0
    if op.type == "Einsum":
        inputs = op.node_def.attr["equation"].s.decode().split("->")[0].replace("...", "")
        sizes: dict[str, int] = {}
        for letters, value in zip(inputs.split(","), op.inputs, strict=True):
            sizes.update(zip(letters, value.shape[-len(letters) :], strict=True))
        return 0.0 if None in sizes.values() else 2.0 * math.prod(sizes.values())
    transposed = op.node_def.attr["transpose_a" if op.type == "MatMul" else "adj_x"].b
    summed = first[-2] if transposed else first[-1]
    return 2.0 * out.num_elements() * summed
