"""What the conformance suite looks at a layer with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from .base import Layer


def weighed_step(
    layer: Layer, training: bool, x: tf.Tensor
) -> tuple[tf.Tensor, list[Any], tf.Tensor]:
    """The output, and the gradients of a weighed sum of it by the variables and by the input."""
    variables = layer.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = weighed(y)
    zeros = tf.UnconnectedGradients.ZERO
    *grads, by_x = tape.gradient(loss, [*variables, x], unconnected_gradients=zeros)
    return y, [tf.convert_to_tensor(g) for g in grads], tf.zeros([]) if by_x is None else by_x


def weighed(y: tf.Tensor) -> tf.Tensor:
    """A sum to differentiate: its slope differs by place in a row and by value, not by row."""
    y = tf.cast(y, tf.float64)
    inner = tf.shape(y)[1:]
    place = tf.reshape(tf.cos(tf.range(tf.reduce_prod(inner), dtype=tf.float64) ** 2), inner)
    return tf.reduce_sum(y * place + 0.5 * tf.sin(y))


def looped(step: Callable[..., Any]) -> Callable[..., Any]:
    """A function `(x, n, zeros)` that adds up what n steps give."""

    def loop(x: tf.Tensor, n: tf.Tensor, zeros: Any) -> Any:
        def body(i: tf.Tensor, total: Any) -> Any:
            return i + 1, tf.nest.map_structure(tf.add, total, step(x))

        return tf.while_loop(lambda i, total: i < n, body, (tf.constant(0), zeros))[1]

    return loop


def parts_of(layer: Layer) -> list[Layer]:
    """The layer and all layers below it."""
    return [part for part in (layer, *layer.submodules) if isinstance(part, Layer)]


def compute_in(layer: Layer, dtype: str) -> None:
    """Sets `compute_dtype` on the layer and all below it."""
    for part in parts_of(layer):
        part.compute_dtype = dtype


def same_seed() -> tf.Tensor:
    """A `seed_source` that always says the same; below 0, where XLA and TensorFlow could part."""
    return tf.constant([-7, 11], tf.int32)


def assign(layer: Layer, values: list[np.ndarray]) -> None:
    """Gives the weights these values, in their order."""
    for variable, value in zip(layer.weights, values, strict=True):
        variable.assign(value)


def close(got: Any, want: Any, tolerance: float, told: str) -> None:
    """Raises unless all are equal up to `tolerance` times the largest value, or times 1."""
    for g, w in zip(tf.nest.flatten(got), tf.nest.flatten(want), strict=True):
        g, w = np.asarray(g, np.float64), np.asarray(w, np.float64)
        allowed = tolerance * max(1.0, np.abs(w).max(initial=0.0))
        np.testing.assert_allclose(g, w, rtol=0, atol=allowed, err_msg=told)


def slope(above: float, below: float, taken: np.ndarray, gradient: Any, told: str) -> None:
    """Raises unless two values differ by what the gradient makes of the step between them."""
    parts = np.float64(gradient) * taken
    allowed = 1e-5 * np.sqrt(np.sum(parts**2)) + 1e-12
    off = abs((above - below) - np.sum(parts))
    assert off <= allowed, (
        f"gradient {told}: two values differ by {above - below:.9g}, by the gradient it should be "
        f"{np.sum(parts):.9g}"
    )


def refused(kind: type[Exception], words: str, function: Callable[..., Any], *args: Any) -> None:
    """Raises unless the call raises an error of this kind whose text has these words."""
    try:
        function(*args)
    except kind as error:
        assert words in str(error), f"the error should say {words!r}: {error}"
    else:
        raise AssertionError(f"no {kind.__name__} that says {words!r}")


@functools.cache
def two_replica_strategy() -> Any:
    """Two logical CPUs as replicas."""
    # The collective that is the default does not run eagerly, and tracing would take its time.
    reduce = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=reduce)
