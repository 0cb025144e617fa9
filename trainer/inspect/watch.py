"""Watching the calls of modules: which layer was called with what, and what it gave."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import state


class Call(NamedTuple):
    """One call of a module.

    Attributes:
        path: where the module is, from the watched root: "model/layers/1".
        module: the module.
        args: of the call.
        kwargs: of the call.
        output: what it gave.
        leaf: whether no other watched module was called within it.
    """

    path: str
    module: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    leaf: bool

    @property
    def title(self) -> str:
        """The path, and the class where the path does not tell it."""
        return f"{self.path or 'the model'} ({type(self.module).__name__})"


class Watch:
    """While open, keeps every eager call of the modules below a root, the innermost first.

    `__call__` of their classes is wrapped meanwhile, so layers of ours, plain `tf.Module`s and
    Keras layers are all seen, and `tf.function`s inside run eagerly.

    Args:
        root: below which modules are watched; a `Task`'s own methods are not calls.
        before: `before(path, module, args, kwargs) -> (args, kwargs)`, may change what is passed.
        after: `after(path, module, output) -> output`, may change what comes out.
        keep: whether calls are kept in `calls`.
    """

    def __init__(
        self,
        root: Any,
        *,
        before: Callable[..., Any] | None = None,
        after: Callable[..., Any] | None = None,
        keep: bool = True,
    ) -> None:
        self.calls: list[Call] = []
        self.stack: list[str] = []  # paths of the modules that are being called, outermost first
        self._before, self._after, self._keep = before, after, keep
        self._paths: dict[int, str] = {}
        self._classes: list[type] = []
        for path, node in _callables(root):
            self._paths.setdefault(id(node), path)
            if type(node) not in self._classes:
                self._classes.append(type(node))
        self._undo = ExitStack()
        self._inner = [0]  # calls seen within each call that is open

    def __enter__(self) -> Watch:
        originals = {cls: cls.__call__ for cls in self._classes}
        for cls, original in originals.items():
            self._undo.callback(_put_back, cls, cls.__dict__.get("__call__"))
            cls.__call__ = self._wrapped(original)  # type: ignore[method-assign]
        self._undo.enter_context(eager_functions())
        return self

    def __exit__(self, *error: Any) -> None:
        self._undo.close()

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)  # the signature is asked for
        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            path = self._paths.get(id(module))
            if path is None or (self.stack and self.stack[-1] == path):  # super().__call__
                return original(module, *args, **kwargs)
            if self._before is not None:
                args, kwargs = self._before(path, module, args, kwargs)
            self.stack.append(path)
            self._inner.append(0)
            try:
                output = original(module, *args, **kwargs)
            finally:
                self.stack.pop()
                inner = self._inner.pop()
                self._inner[-1] += 1
            if self._after is not None:
                output = self._after(path, module, output)
            if self._keep:
                self.calls.append(Call(path, module, args, kwargs, output, not inner))
            return output

        return call


@contextmanager
def eager_functions() -> Iterator[None]:
    """While open, what is under `tf.function` runs eagerly."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def tensors(nest: Any) -> list[Any]:
    """The tensors of a nest, in order."""
    if isinstance(nest, Mapping):
        return [x for value in nest.values() for x in tensors(value)]
    if isinstance(nest, (list, tuple)):
        return [x for value in nest for x in tensors(value)]
    return [nest] if tf.is_tensor(nest) or isinstance(nest, np.ndarray) else []


def _callables(root: Any) -> Iterator[tuple[str, Any]]:
    for path, node in state.walk(root):
        if isinstance(node, tf.Variable) or not callable(node) or state.is_optimizer(node):
            continue
        yield path, node
        if state.is_keras(node) and hasattr(node, "_flatten_layers"):  # no public way to all layers
            for layer in node._flatten_layers(include_self=False):
                yield f"{path}/{layer.name}" if path else layer.name, layer


def _put_back(cls: type, own: Any) -> None:
    if own is None:
        del cls.__call__
    else:
        cls.__call__ = own  # type: ignore[method-assign]
