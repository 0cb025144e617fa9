"""What XLA refuses: the operation, and the layer that uses it, out of TensorFlow's long message."""

from __future__ import annotations

import re

_REGISTERED = re.compile(
    r"No registered '(\w+)' OpKernel for (\S+) devices[^{]*"
    r"(?:\{\{function_node [^}]*\}\})?\{\{node ([^}]+)\}\}"
)
_CONSTANT = re.compile(r"node `([^`]+)` with op (\w+) must be a compile-time constant")
_NODE = re.compile(r"\{\{node ([^}]+)\}\}")
_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')
_PREAMBLE = ("Graph execution error", "Detected at")
_LENGTH = 160


class RefusedError(RuntimeError):
    """A step failed when compiled by XLA, as `jit` demands; the text names operation and layer.

    The error of TensorFlow is its cause.
    """


def why(error: BaseException) -> str:
    """Why XLA did not compile a step, in one line: operation, layer and source line if told."""
    text = str(error.__cause__ if isinstance(error, RefusedError) else error)
    if found := _REGISTERED.search(text):
        op, device, node = found.groups()
        return f"{device} has no operation {op}, used in {layer_of(node)}{_line(text, found.end())}"
    if found := _CONSTANT.search(text):
        node, op = found.groups()
        return (
            f"{op}, used in {layer_of(node)}, needs a shape or size that is known when it is "
            f"compiled{_line(text, found.end())}"
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_PREAMBLE)]
    first = lines[0][:_LENGTH] if lines else type(error).__name__
    node_found = _NODE.search(text)
    return f"{first} (in {layer_of(node_found.group(1))})" if node_found else first


def layer_of(node: str) -> str:
    """A node's name scope, which is the path of the layers it was made in, without loops."""
    parts = [p for p in node.split("/") if not re.fullmatch(r"while(_\d+)?|body|_\d+", p)]
    return "/".join(parts[:-1]) or f"the step itself ({parts[-1] if parts else node})"


def _line(text: str, start: int) -> str:
    """The innermost line of the stack that follows, if there is one."""
    end = text.find("tf2xla conversion", start)
    lines = _LINE.findall(text, start, end if end > 0 else len(text))
    return f" ({lines[-1][0]}:{lines[-1][1]})" if lines else ""
