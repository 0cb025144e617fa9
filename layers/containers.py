"""Sequential and Residual: layers made of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from .base import Layer, takes_training


class Sequential(Layer):
    """Calls its layers one after the other: `[b, ...] -> [b, ...]`.

    Inputs are handed on as they are; each layer casts for itself.

    Args:
        layers: Layers, other `tf.Module`s that can be called, or plain functions.
        trainable: see `Layer`.
        name: see `Layer`.

    Example:
        >>> from layers import Dense, Sequential
        >>> model = Sequential([Dense(8, "relu"), Dense(1)])
        >>> model(tf.zeros([2, 4])).shape
        TensorShape([2, 1])
    """

    def __init__(
        self,
        layers: Sequence[Callable[..., Any]] | None = None,
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.layers: list[Callable[..., Any]] = []
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    def add(self, layer: Callable[..., Any]) -> None:
        """Appends a layer."""
        self.layers.append(checked_layer("layers", layer))

    def pop(self) -> Callable[..., Any]:
        """Removes the last layer and returns it."""
        last = self.layers[-1]
        # A new list: TensorFlow cannot checkpoint one that shrank.
        self.layers = list(self.layers[:-1])
        return last

    def build(self, input_shape: Any) -> None:
        """Builds every layer by running zeros of `input_shape` (None counts as 1) through them."""
        x = tf.zeros([1 if s is None else s for s in input_shape])
        self.call(x)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """`[b, ...] -> [b, ...]`."""
        x = inputs
        for i, layer in enumerate(self.layers):
            # The index makes variable names unique: sequential/0/dense/kernel.
            with tf.name_scope(str(i)):
                x = layer(x, training=training) if takes_training(layer) else layer(x)
        return x

    @property
    def built(self) -> bool:
        """Whether all layers are built."""
        return all(getattr(layer, "built", True) for layer in self.layers)

    def __call__(self, inputs: Any, *args: Any, training: bool = False, **kwargs: Any) -> Any:
        """Runs the layers; those that are not built yet build themselves."""
        self._built = True
        return super().__call__(inputs, *args, training=training, **kwargs)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter(self.layers)

    def __getitem__(self, index: int) -> Callable[..., Any]:
        return self.layers[index]

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_indented('[', map(repr, self.layers), ']')})"

    def _entry(self, tree: Any, integers: bool) -> Any:
        # Not cast here: an index for an Embedding would not survive 16 bits.
        return tree


class Residual(Layer):
    """`shortcut(x) + block(x)`: `[b, ...] -> [b, ...]`. He et al. 2015.

    Args:
        block: a layer, or a list of them (put in a `Sequential`).
        shortcut: a layer that brings x to the block's output shape; None adds x itself.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    def __init__(
        self,
        block: Any,
        *,
        shortcut: Callable[..., Any] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        if isinstance(block, (list, tuple)):
            block = Sequential(block, name="block")
        self.block = checked_layer("block", block)
        self.shortcut = None if shortcut is None else checked_layer("shortcut", shortcut)
        if not trainable:
            self.trainable = False

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        y = _run(self.block, inputs, training)
        x = inputs if self.shortcut is None else _run(self.shortcut, inputs, training)
        if not x.shape.is_compatible_with(y.shape):
            raise ValueError(
                f"{self._label()} adds shapes {x.shape} and {y.shape}; give the block the shape of "
                "its input, or a shortcut that has the block's shape"
            )
        return x + y

    @property
    def built(self) -> bool:
        """Whether the block and the shortcut are built."""
        return all(getattr(part, "built", True) for part in (self.block, self.shortcut))

    def __repr__(self) -> str:
        parts = [repr(self.block)]
        if self.shortcut is not None:
            parts.append(f"shortcut={self.shortcut!r}")
        return type(self).__name__ + _indented("(", parts, ")")


def checked_layer(argument: str, layer: Any) -> Callable[..., Any]:
    """`layer`, or an error if it cannot be called or hides its weights from `tf.Module`."""
    if isinstance(layer, type):
        raise TypeError(f"{argument} holds the class {layer.__name__}; give an instance of it")
    if not callable(layer):
        raise TypeError(f"{argument} must hold layers or functions, got {layer!r}")
    if hasattr(layer, "trainable_variables") and not isinstance(layer, tf.Module):
        raise TypeError(
            f"{argument} holds {type(layer).__module__}.{type(layer).__name__}, whose variables a "
            "tf.Module cannot see; use this package's layers, or train the other model as a whole"
        )
    return layer


def _run(layer: Callable[..., Any], x: Any, training: bool) -> Any:
    return layer(x, training=training) if takes_training(layer) else layer(x)


def _indented(opening: str, parts: Iterable[str], closing: str) -> str:
    """The parts on lines of their own between the brackets."""
    lines = [f"    {line}" for part in parts for line in f"{part},".splitlines()]
    return "\n".join([opening, *lines, closing]) if lines else opening + closing
