"""The cost of a step as its graph tells it, and what that decides about compiling."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from trainer import graphs
from trainer.compiling.choice import Choice

# What a step costs on CPU in TensorFlow's executor, as orders of magnitude. They decide only how
# long a run must be for a trial to pay, and whether launching or computing dominates.
_LAUNCH_SECONDS = 4e-6  # per operation
_FLOPS_PER_SECOND = 1.5e11
_COMPILE_SECONDS = 0.5  # of any program, and
_COMPILE_SECONDS_PER_OP = 2e-3
_TURNS = 32  # of a loop within a step, whose number the graph does not tell
_TRIAL_SHARE = 0.05  # of a run may go into trying, which the smallest win worth having wins back,
_TRIAL_SECONDS = 18.0  # but no more than 3 % of ten minutes, however long it is
_ROUNDS_SECONDS = 1.5  # of a trial, beside its compilations: of the step, and of the whole loop

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
_CONVOLUTIONS = ("Conv2D", "Conv3D", "DepthwiseConv2dNative")
_SLOW_IN_LOOPS = (*_CONVOLUTIONS, "MaxPool", "AvgPool")
_HOST_ONLY = ("PyFunc", "EagerPyFunc", "DecodeJpeg", "StringJoin", "StringSplit", "AsString")
_MATRIX_PRODUCTS = {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"}


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

    def trial_seconds(self, ways: int) -> float:
        """Rough time it takes to try so many ways of XLA."""
        return ways * self.compile_seconds + _ROUNDS_SECONDS


def trial_budget(steps: int | None, step_seconds: float) -> float:
    """Seconds that a run of so many steps (None: not known, taken as many) may spend on trying."""
    if steps is None:
        return _TRIAL_SECONDS
    return min(_TRIAL_SECONDS, _TRIAL_SHARE * steps * step_seconds)


def hopeless(cost: Cost, on_cpu: bool) -> dict[str, str]:
    """Way of compiling -> why it is not even tried.

    A single XLA step is: of small convolutions it may be the fastest.
    """
    if on_cpu and cost.convolutions:
        return {"loop": "not tried: on CPU convolutions in an XLA loop are several times slower"}
    return {}


def cost_of(graph: tf.Graph) -> Cost:
    """Counts operations and multiplications of a step's graph, nested functions included."""
    operations = convolutions = loops = 0
    flops = 0.0
    host_only: set[str] = set()
    for op in graphs.operations(graph):
        if op.type in _FREE:
            continue
        operations += 1
        convolutions += op.type.startswith(_SLOW_IN_LOOPS)
        loops += op.type in ("While", "StatelessWhile")
        if op.type.startswith(_HOST_ONLY):
            host_only.add(op.type)
        if op.type in _MATRIX_PRODUCTS:
            flops += _product_flops(op)
        elif op.type.startswith(_CONVOLUTIONS):
            flops += _convolution_flops(op)
    return Cost(operations, flops, convolutions, loops, tuple(sorted(host_only)))


def decide(cost: Cost, steps: int | None, on_cpu: bool) -> Choice | None:
    """Decides where the graph alone leaves no doubt, or a trial would cost too much; else None.

    Args:
        cost: of one step.
        steps: how many steps this run will make, None when it is not known (taken as many).
        on_cpu: whether there is no accelerator.
    """
    if cost.host_only:
        return Choice("graph", f"{', '.join(cost.host_only)} runs on the host, XLA refuses it")
    budget = trial_budget(steps, cost.seconds)
    longest = budget >= _TRIAL_SECONDS  # no run has more: one way is tried where both are too much
    if cost.trial_seconds(1 if longest else 2 - len(hopeless(cost, on_cpu))) <= budget:
        return None
    untried = f"{steps} steps are too few to try XLA"
    if longest:
        untried = f"XLA takes longer to compile {cost.operations} operations than a trial may last"
    if on_cpu and cost.convolutions:
        why = f"{untried}, and on CPU its convolutions are mostly slower"
        return Choice("graph", why, settled=False)
    if on_cpu and cost.launch_bound:
        if steps is None or cost.launch_seconds * steps > cost.compile_seconds:
            why = "steps this small are bound by launching operations"
            return Choice("loop", why, settled=False)
        why = f"{steps} steps this small end before compiling them would pay"
        return Choice("graph", why, settled=False)
    return Choice("graph", untried, settled=False)


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


def _convolution_flops(op: tf.Operation) -> float:
    """2 x outputs x what each is summed from; the two of the backward pass cost the same."""
    if "BackpropFilter" in op.type:
        kernel, out = op.outputs[0].shape, op.inputs[2].shape
    elif "BackpropInput" in op.type:
        kernel, out = op.inputs[1].shape, op.inputs[2].shape
    else:
        kernel, out = op.inputs[1].shape, op.outputs[0].shape
    if not kernel.is_fully_defined() or not out.is_fully_defined():
        return 0.0
    summed = kernel[:2] if op.type.startswith("Depthwise") else kernel[:-1]
    return 2.0 * out.num_elements() * summed.num_elements()
