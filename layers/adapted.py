"""Normalization: inputs shifted and scaled by the mean and variance of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .base import Layer, Shape
from .moments import checked_axis


class Normalization(Layer):
    """`(inputs - mean) / sqrt(variance)` of the data: `[b, ...] -> [b, ...]`.

    Call `adapt(data)` before training, or give mean and variance; until then the layer gives back
    what it gets. A standard deviation below 1e-7 counts as that.

    Args:
        axis: the axis, or axes, each position of which has a mean and variance of its own; None
            means one for all.
        mean: given in place of `adapt`, a number or an array that broadcasts to the kept axes.
        variance: given together with mean.
        invert: whether to go back, from normalised values to the data's.
        trainable: see `Layer`.
        name: see `Layer`.

    Example:
        >>> import numpy as np
        >>> from layers import Normalization
        >>> layer = Normalization()
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> layer([[2.0, 30.0]]).numpy().tolist()
        [[0.0, 1.0]]
    """

    casts_integers = True
    min_rank = 1

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        *,
        variance: Any = None,
        invert: bool = False,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ValueError(
                f"mean and variance go together, got mean={mean!r}, variance={variance!r}"
            )
        self.mean, self.variance = mean, variance
        self.invert = bool(invert)

    def build(self, input_shape: Shape) -> None:
        """Creates `adapt_mean`, `adapt_variance` and `count`, unless they are given."""
        kept = self._kept(input_shape)
        shape = [self.known_axis(input_shape, axis) for axis in kept]
        if self.mean is None:
            self.adapt_mean = self.add_weight("mean", shape, "zeros", trainable=False)
            self.adapt_variance = self.add_weight("variance", shape, "ones", trainable=False)
            self.count = tf.Variable(0, trainable=False, name="count", dtype=tf.int64)
        self.fix_axes({a - len(input_shape): n for a, n in zip(kept, shape, strict=True)})

    def adapt(self, data: Any) -> None:
        """Sets mean and variance to those of all data, in float64, whatever they were.

        Args:
            data: an array `[n, ...]`, or a `tf.data.Dataset` or other iterable of batches
                `[b, ...]`.

        Raises:
            ValueError: if mean and variance were given, or if there is no data.
        """
        if self.mean is not None:
            raise ValueError(
                f"{self._label()} was given mean and variance: there is no adapting it"
            )
        count, mean, squares = 0, np.zeros([]), np.zeros([])
        for batch in _batches(data):
            if not self.built:
                self.build((None, *batch.shape[1:]))
            self.check_input(tf.convert_to_tensor(batch[:1]))
            x = np.asarray(batch, np.float64)
            others = tuple(i for i in range(x.ndim) if i not in self._kept(x.shape))
            n = int(np.prod([x.shape[i] for i in others]))
            if n == 0:
                continue
            # Batches are pooled by Chan et al. 1979, so that a far mean does not cancel.
            own = x.mean(others)
            squares = squares + x.var(others) * n + (own - mean) ** 2 * (count * n / (count + n))
            mean = mean + (own - mean) * (n / (count + n))
            count += n
        if count == 0:
            raise ValueError("data has no rows to adapt to")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(squares / count)
        self.count.assign(count)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[b, ...] -> [b, ...]`."""
        dtype = tf.float64 if inputs.dtype == tf.float64 else tf.float32
        kept = self._kept(inputs.shape)
        shape = [n if i in kept else 1 for i, n in enumerate(inputs.shape)]
        if self.mean is None:
            mean, variance = (
                tf.reshape(tf.cast(v, dtype), shape) for v in (self.adapt_mean, self.adapt_variance)
            )
        else:
            sizes = [inputs.shape[axis] for axis in kept]
            mean, variance = (
                tf.reshape(tf.broadcast_to(tf.cast(v, dtype), sizes), shape)
                for v in (self.mean, self.variance)
            )
        x, deviation = tf.cast(inputs, dtype), tf.maximum(tf.sqrt(variance), 1e-7)
        y = x * deviation + mean if self.invert else (x - mean) / deviation
        return tf.cast(y, inputs.dtype)

    def _kept(self, shape: Any) -> list[int]:
        if self.axis is None:
            return []
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        return sorted({checked_axis(self, axis, shape) for axis in axes})


def _batches(data: Any) -> Iterator[np.ndarray]:
    if isinstance(data, (np.ndarray, tf.Tensor)) or not isinstance(data, Iterable):
        data = [data]
    elif isinstance(data, (list, tuple)) and not hasattr(data[0], "shape"):
        data = [data]  # a nested list of numbers is one array
    for batch in data:
        if isinstance(batch, (tuple, dict)):
            raise TypeError(
                f"data must be batches of inputs alone, got a {type(batch).__name__} of "
                f"{len(batch)}; take the inputs out, as in dataset.map(lambda x, y: x)"
            )
        yield np.asarray(batch)
