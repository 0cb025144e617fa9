"""Births: the operations of an eager run that made NaN or infinity out of numbers."""

from __future__ import annotations

import pathlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_callbacks  # what tf.debugging itself is made with

from trainer.inspect.watch import Watch

_TRAINER = f"{pathlib.Path(__file__).parent.parent}/"
_INSPECT = f"{pathlib.Path(__file__).parent}/"


class Birth(NamedTuple):
    """An operation whose inputs were finite and whose output was not.

    Attributes:
        op: its type: "Log".
        layer: path of the module within which it ran; "" outside of any.
        phase: "forward", "backward" or "update".
        line: the innermost line outside of TensorFlow and Keras, "file.py:12 in f"; "" where that
            is the trainer's, as in the backward pass, whose operations no line of a program names.
        made: what it made of what: "1 -inf of 24 values float32[8, 3], from inputs of 0 to 1".
    """

    op: str
    layer: str
    phase: str
    line: str
    made: str

    def __str__(self) -> str:
        where = f" in {self.layer}" if self.layer else " outside of any layer"
        line = f", at {self.line}" if self.line else ""
        return f"{self.op}{where}, {self.phase}{line}: {self.made}"


def births(fn: Callable[[], Any], root: Any) -> list[Birth]:
    """Runs `fn` eagerly and gives the births in it, in order.

    Args:
        fn: what to run.
        root: whose modules are named as layers.
    """
    found: list[Birth] = []
    where = _Where(root)

    def look(
        op_type: Any, inputs: Sequence[Any], attrs: Any, outputs: Sequence[Any], *_: Any, **__: Any
    ) -> None:
        made = [_numbers(x) for x in outputs]
        broken = [x for x in made if x is not None and not np.isfinite(x).all()]
        if not broken:
            return
        taken = [x for x in map(_numbers, inputs) if x is not None]
        if all(np.isfinite(x).all() for x in taken):
            frames = traceback.extract_stack()
            name = op_type.decode() if isinstance(op_type, bytes) else str(op_type)
            phase = _phase(frames)
            found.append(
                Birth(name, where.layer(phase), phase, _line(frames), _described(broken[0], taken))
            )

    with where.watch, op_callbacks_of(look):
        fn()
    return found


@contextmanager
def op_callbacks_of(look: Callable[..., Any]) -> Iterator[None]:
    """While open, `look` is told of every eager operation."""
    op_callbacks.add_op_callback(look)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(look)


class _Where:
    """Which layer is at work: that which is being called, and backward that whose mark was passed.

    What goes into a layer and what comes out of it passes through identities whose gradients tell
    that the backward pass has left it, or has come to it.
    """

    def __init__(self, root: Any) -> None:
        self._back = ""
        self.watch = Watch(root, before=self._before, after=self._after, keep=False)

    def layer(self, phase: str) -> str:
        if phase == "backward":
            return self._back
        return self.watch.stack[-1] if self.watch.stack and phase == "forward" else ""

    def _before(self, path: str, module: Any, args: Any, kwargs: Any) -> Any:
        outside = self.watch.stack[-1] if self.watch.stack else ""
        return _marked(args, lambda: self._come_to(outside)), kwargs

    def _after(self, path: str, module: Any, output: Any) -> Any:
        return _marked(output, lambda: self._come_to(path))

    def _come_to(self, path: str) -> None:
        self._back = path


def _marked(nest: Any, passed: Callable[[], None]) -> Any:
    """The nest, its floating tensors through identities that tell of the gradient passing."""

    def marked(x: Any) -> Any:
        if not isinstance(x, tf.Tensor) or not x.dtype.is_floating:
            return x

        @tf.custom_gradient
        def identity(x: tf.Tensor) -> Any:
            def backward(dy: Any) -> Any:
                passed()
                return dy

            return tf.identity(x), backward

        y = identity(x)
        if hasattr(x, "_keras_mask"):
            y._keras_mask = x._keras_mask
        return y

    return tf.nest.map_structure(marked, nest)


def _numbers(x: Any) -> np.ndarray | None:
    """The values of an eager floating tensor; None of anything else."""
    if not isinstance(x, tf.Tensor) or not x.dtype.is_floating or not hasattr(x, "numpy"):
        return None
    return x.numpy()


def _phase(frames: Sequence[traceback.FrameSummary]) -> str:
    if any(f.name == "_gradient_function" and "tensorflow" in f.filename for f in frames):
        return "backward"
    updating = ("_apply", "_perturb", "apply_if_finite")
    if any(f.name in updating and f.filename.startswith(_TRAINER) for f in frames):
        return "update"
    return "forward"


def _line(frames: Sequence[traceback.FrameSummary]) -> str:
    """The innermost line that is neither TensorFlow's, Keras's nor of this package.

    Folders are those the two were imported from: a user's may be called so, too.
    """
    packages = [sys.modules[name] for name in ("tensorflow", "keras") if name in sys.modules]
    foreign = (_INSPECT, *(f"{pathlib.Path(str(p.__file__)).parent}/" for p in packages))
    own = next((f for f in reversed(frames) if not f.filename.startswith(foreign)), None)
    if own is None or own.filename.startswith(_TRAINER):
        return ""
    return f"{'/'.join(own.filename.split('/')[-2:])}:{own.lineno} in {own.name}"


def _described(broken: np.ndarray, taken: Sequence[np.ndarray]) -> str:
    wide = broken.astype(np.float32)
    kinds = [
        f"{n} {name}"
        for name, n in (
            ("NaN", int(np.isnan(wide).sum())),
            ("+inf", int(np.isposinf(wide).sum())),
            ("-inf", int(np.isneginf(wide).sum())),
        )
        if n
    ]
    said = f"{', '.join(kinds)} of {broken.size} values {broken.dtype}{list(broken.shape)}"
    if not taken:
        return said
    low = [f"{x.min():.4g} to {x.max():.4g}" for x in taken if x.size]
    return f"{said}, from inputs of {' and '.join(low[:3])}"
