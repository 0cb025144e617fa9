"""Layers whose kernel is computed anew in each call: spectral and weight normalisation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .core import positive_int


class _Reparametrized(Layer):
    """Runs a layer with `new_kernel(...)` in the place of its kernel."""

    def __init__(self, layer: Layer, *, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        if not isinstance(layer, Layer):
            raise TypeError(f"layer must be a Layer, got {layer!r}")
        self.layer = layer
        if not trainable:
            self.trainable = False

    def build(self, input_shape: Shape) -> None:
        """Builds the layer, then what the new kernel needs."""
        if not self.layer.built:
            self.layer.build(input_shape)
        self._attribute = next((n for n in ("kernel", "embeddings") if hasattr(self.layer, n)), "")
        if not self._attribute:
            raise ValueError(
                f"{self._label()} needs a layer with a kernel or embeddings, got {self.layer!r}"
            )
        self.prepare(getattr(self.layer, self._attribute))

    def prepare(self, kernel: tf.Variable) -> None:
        """Creates the weights that the new kernel needs."""
        raise NotImplementedError

    def new_kernel(self, kernel: tf.Variable, training: bool) -> tf.Tensor:
        """The kernel to use, in float32."""
        raise NotImplementedError

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """As the layer, with the new kernel."""
        kernel = getattr(self.layer, self._attribute)
        with replaced(self.layer, self._attribute, self.new_kernel(kernel, training)):
            return self.layer(inputs, training=training)

    @property
    def wide_dtype(self) -> tf.DType:
        """The dtype of norms and singular values: float32, or float64 where that is computed in."""
        return tf.float64 if self.compute_dtype == "float64" else tf.float32

    def _entry(self, tree: Any, integers: bool) -> Any:
        return tree  # the layer casts for itself


class SpectralNormalization(_Reparametrized):
    """A layer whose kernel is divided by its largest singular value. Miyato et al. 2018.

    The kernel as a matrix `[..., last axis]` has the singular value `sigma = v W u`; u and v come
    from `power_iterations` steps, of which training keeps u. Here, as in the paper, W itself stays
    as it is and the gradient goes through `sigma`; Keras overwrites the kernel by the normalised
    one in each training step. Outputs of a first training step are the same.

    Args:
        layer: a layer with `kernel` or `embeddings`.
        power_iterations: steps of the power method in each training step.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    def __init__(
        self,
        layer: Layer,
        power_iterations: int = 1,
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(layer, trainable=trainable, name=name)
        self.power_iterations = positive_int("power_iterations", power_iterations)

    def prepare(self, kernel: tf.Variable) -> None:
        """Creates `vector_u` `[1, last axis of the kernel]`."""
        self.vector_u = self.add_weight(
            "vector_u", [1, kernel.shape[-1]], "truncated_normal", trainable=False
        )

    def new_kernel(self, kernel: tf.Variable, training: bool) -> tf.Tensor:
        """`W / sigma`; in training u takes its steps."""
        matrix = tf.cast(tf.reshape(kernel, [-1, kernel.shape[-1]]), self.wide_dtype)
        u, v = singular_vectors(
            matrix, tf.cast(self.vector_u, matrix.dtype), self.power_iterations if training else 0
        )
        if training and self.trainable:
            self.vector_u.assign(tf.cast(u, tf.float32))
        sigma = tf.reduce_sum(tf.matmul(v, matrix) * u)
        # A kernel of zeros has none; it stays what it is.
        return tf.math.divide_no_nan(tf.cast(kernel, matrix.dtype), sigma)


class WeightNormalization(_Reparametrized):
    """A layer whose kernel is `g * v / |v|`, a length and a direction for each output.

    Salimans and Kingma 2016. The layer's own kernel is v, and g starts as its length, so that the
    layer starts as it would without; the norm is over all axes but the last.

    Args:
        layer: a layer with `kernel` or `embeddings`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    def prepare(self, kernel: tf.Variable) -> None:
        """Creates `g` `[last axis of the kernel]`."""
        self.g = self.add_weight("g", [kernel.shape[-1]], "ones")
        self.g.assign(tf.norm(tf.reshape(kernel, [-1, kernel.shape[-1]]), axis=0))

    def new_kernel(self, kernel: tf.Variable, training: bool) -> tf.Tensor:
        """`g * v / |v|`."""
        v = tf.cast(kernel, self.wide_dtype)
        axes = list(range(v.shape.rank - 1))
        square = tf.reduce_sum(tf.square(v), axes)
        # Finite also for a direction of zeros, and in its gradient.
        return v * (tf.cast(self.g, v.dtype) * tf.math.rsqrt(tf.maximum(square, 1e-24)))


def singular_vectors(matrix: tf.Tensor, u: tf.Tensor, steps: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Vectors u `[1, n]` after steps of the power method, and v `[1, m]`, of a matrix `[m, n]`.

    Both are constants to the gradient: the singular value's own is `v^T u` (Miyato et al. 2018).
    """
    u = tf.math.l2_normalize(u, epsilon=1e-12)
    v = tf.math.l2_normalize(tf.matmul(u, matrix, transpose_b=True), epsilon=1e-12)
    for step in range(steps):
        if step:
            v = tf.math.l2_normalize(tf.matmul(u, matrix, transpose_b=True), epsilon=1e-12)
        u = tf.math.l2_normalize(tf.matmul(v, matrix), epsilon=1e-12)
    return tf.stop_gradient(u), tf.stop_gradient(v)


@contextlib.contextmanager
def replaced(layer: Layer, attribute: str, value: tf.Tensor) -> Iterator[None]:
    """Within it, the layer's attribute is `value`; tf.Module and checkpoints do not notice."""
    held = getattr(layer, attribute)
    object.__setattr__(layer, attribute, value)
    try:
        yield
    finally:
        object.__setattr__(layer, attribute, held)
