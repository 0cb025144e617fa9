"""PatchEmbedding: an image as a sequence of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import Layer, Shape
from .core import dense, positive_int
from .windows import sizes


class PatchEmbedding(Layer):
    """A vector for each patch of an image: `[b, h, w, c] -> [b, h / p * w / p, units]`.

    Dosovitskiy et al. 2020. The same as `Conv2D(units, p, strides=p)`, with its weights, and the
    rows of its output one after the other.

    Args:
        units: size of each vector.
        patch_size: height and width of a patch, or one number for both; the image's are multiples.
        use_bias: whether a bias is added.
        kernel_initializer: of `kernel`, `[p, p, c, units]`.
        bias_initializer: of `bias`, `[units]`.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    input_rank = 4

    def __init__(
        self,
        units: int,
        patch_size: int | Sequence[int],
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.units = positive_int("units", units)
        self.patch_size = sizes("patch_size", patch_size, 2)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, input_shape: Shape) -> None:
        """Creates `kernel` `[p, p, c, units]` and `bias` `[units]`."""
        channels = self.known_axis(input_shape)
        self.kernel = self.add_weight(
            "kernel", [*self.patch_size, channels, self.units], self.kernel_initializer
        )
        self.bias = (
            self.add_weight("bias", [self.units], self.bias_initializer) if self.use_bias else None
        )
        self.fix_axes({-1: channels})

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, h, w, c] -> [b, h / p * w / p, units]`."""
        (h, w), c = (self.known_axis(inputs.shape, axis) for axis in (1, 2)), inputs.shape[-1]
        p, q = self.patch_size
        if h % p or w % q:
            raise ValueError(
                f"{self._label()} cuts patches of {p} x {q} out of images of {h} x {w}, which are "
                "no multiples of them; resize or pad the images (layers.ZeroPadding2D)"
            )
        x = tf.reshape(inputs, [-1, h // p, p, w // q, q, c])
        x = tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4, 5]), [-1, h // p * (w // q), p * q * c])
        kernel = tf.reshape(self.cast(self.kernel), [p * q * c, self.units])
        y = dense(x, kernel, self.cast(self.bias))
        return tf.ensure_shape(y, [inputs.shape[0], *y.shape[1:]])
