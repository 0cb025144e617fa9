"""VectorQuantizer: each vector becomes the nearest of a codebook's."""

from __future__ import annotations

import tensorflow as tf

from .base import Layer, Shape
from .core import positive_int
from .dtypes import at_least_float32


class VectorQuantizer(Layer):
    """The nearest code of each vector: `[b, ..., d] -> [b, ..., d]`. van den Oord et al. 2017.

    The gradient passes straight through to the inputs. The codes are not trained by gradients: in
    training each becomes the moving mean of the vectors nearest to it (appendix A.1), over all
    replicas. Add `commitment(inputs)` to the loss, or the inputs may wander off.

    Args:
        num_codes: number of codes, k.
        decay: of the moving sums.
        epsilon: smooths the counts, so that a code without vectors stays finite.
        trainable: see `Layer`; False also means that the codes rest.
        name: see `Layer`.
    """

    casts_integers = True
    min_rank = 2

    def __init__(
        self,
        num_codes: int,
        decay: float = 0.99,
        *,
        epsilon: float = 1e-5,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.num_codes = positive_int("num_codes", num_codes)
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay!r}")
        self.decay, self.epsilon = float(decay), float(epsilon)

    def build(self, input_shape: Shape) -> None:
        """Creates `codes` `[k, d]`, and the moving `counts` `[k]` and `totals` `[k, d]`."""
        d = self.known_axis(input_shape)
        self.codes = self.add_weight("codes", [self.num_codes, d], "uniform", trainable=False)
        self.counts = self.add_weight("counts", [self.num_codes], "ones", trainable=False)
        self.totals = self.add_weight("totals", [self.num_codes, d], "zeros", trainable=False)
        self.totals.assign(self.codes)
        self.fix_axes({-1: d})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ..., d] -> [b, ..., d]`."""
        x = at_least_float32(inputs)
        indices = self._nearest(x)
        quantized = tf.gather(tf.cast(self.codes, x.dtype), indices)
        if training and self.trainable:
            self._move(tf.stop_gradient(x), indices)
        return inputs + tf.cast(tf.stop_gradient(quantized - x), inputs.dtype)

    def indices(self, inputs: tf.Tensor) -> tf.Tensor:
        """The number of the nearest code: `[b, ..., d] -> int32 [b, ...]`."""
        return self._nearest(at_least_float32(inputs))

    def commitment(self, inputs: tf.Tensor) -> tf.Tensor:
        """Mean square of what each vector is off its code, which is held: `[..., d] -> [...]`."""
        x = at_least_float32(inputs)
        nearest = tf.gather(tf.cast(self.codes, x.dtype), self._nearest(x))
        return tf.reduce_mean(tf.math.squared_difference(x, tf.stop_gradient(nearest)), -1)

    def _nearest(self, x: tf.Tensor) -> tf.Tensor:
        codes = tf.cast(self.codes, x.dtype)
        # |x - c|^2 without |x|^2, which is the same for all codes.
        products = tf.tensordot(x, codes, [[-1], [1]])  # [b, ..., k]
        return tf.argmin(
            tf.reduce_sum(tf.square(codes), -1) - 2.0 * products, -1, output_type=tf.int32
        )

    def _move(self, x: tf.Tensor, indices: tf.Tensor) -> None:
        chosen = tf.one_hot(tf.reshape(indices, [-1]), self.num_codes, dtype=x.dtype)
        vectors = tf.reshape(x, [-1, x.shape[-1]])
        count = tf.reduce_sum(chosen, 0)[:, None]
        sums = tf.concat([count, tf.matmul(chosen, vectors, transpose_a=True)], 1)  # [k, 1 + d]
        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        sums = tf.cast(sums, tf.float32)
        some = tf.reduce_sum(sums[:, 0]) > 0.0  # a batch of no rows says nothing
        rate = tf.where(some, 1.0 - self.decay, 0.0)
        counts = self.counts + rate * (sums[:, 0] - self.counts)
        totals = self.totals + rate * (sums[:, 1:] - self.totals)
        n = tf.reduce_sum(counts)
        smoothed = (counts + self.epsilon) / (n + self.num_codes * self.epsilon) * n
        self.counts.assign(counts)
        self.totals.assign(totals)
        moved = totals / smoothed[:, None]
        self.codes.assign(tf.where(some, moved, self.codes))
