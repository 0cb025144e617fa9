"""Multi-head attention."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from .activations import masked_softmax, softmax
from .base import Layer
from .core import dense, positive_int
from .regularization import checked_rate, dropout


def attend(q: tf.Tensor, k: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Attention weights `softmax(q k' / sqrt(d))`, the softmax in float32.

    Args:
        q: `[b, q, h, d]`.
        k: `[b, k, h, d]`.
        mask: boolean, broadcast to `[b, h, q, k]`; True may be seen. A query that may see nothing
            gets zero weights.

    Returns:
        `[b, h, q, k]`.
    """
    q = q * tf.cast(1.0 / math.sqrt(q.shape[-1]), q.dtype)
    scores = tf.einsum("bqhd,bkhd->bhqk", q, k)  # [b, h, q, k]
    return softmax(scores) if mask is None else masked_softmax(scores, mask)


class MultiHeadAttention(Layer):
    """Attention of `query` over `value`: `[b, q, d], [b, k, e] -> [b, q, d]`. Vaswani et al. 2017.

    Args:
        num_heads: h, the number of heads.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values; None means `key_dim`.
        dropout: rate for the attention weights.
        use_bias: whether the projections have biases.
        output_shape: size of the output's last axis; None means the query's.
        kernel_initializer: of the kernels: `[d, h, key_dim]` for query and key, `[e, h, value_dim]`
            for value, `[h, value_dim, output]` for the output.
        bias_initializer: of the biases: `[h, key_dim]`, `[h, value_dim]`, `[output]`.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the biases.
        seed: an integer mixed into the seed of each dropout mask.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    casts_integers = True
    input_rank = 3

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        *,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.num_heads = positive_int("num_heads", num_heads)
        self.key_dim = positive_int("key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive_int("value_dim", value_dim)
        self.dropout = checked_rate(dropout)
        self.use_bias = use_bias
        self.output_shape = (
            None if output_shape is None else positive_int("output_shape", output_shape)
        )
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.seed = seed

    def build_shape(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        """The shapes of query, value and key."""
        given = dict(zip(("value", "key"), args, strict=False)) | kwargs
        value = inputs if given.get("value") is None else given["value"]
        key = value if given.get("key") is None else given["key"]
        return [tuple(x.shape) for x in (inputs, value, key)]

    def build(self, input_shape: Any) -> None:
        """Creates the kernel and bias of query, key, value and output, in this order.

        `input_shape` is the shape of the query, or a list of the shapes of query, value and key.
        """
        nested = isinstance(input_shape[0], (list, tuple))
        shapes = list(input_shape) if nested else [input_shape]
        query = shapes[0]
        value = shapes[1] if len(shapes) > 1 else query
        key = shapes[2] if len(shapes) > 2 else value
        d = self.known_axis(query)
        output = self.output_shape or d
        heads, k, v = self.num_heads, self.key_dim, self.value_dim
        self._project("query", [d, heads, k], [heads, k])
        self._project("key", [self.known_axis(key), heads, k], [heads, k])
        self._project("value", [self.known_axis(value), heads, v], [heads, v])
        self._project("output", [heads, v, output], [output])
        self.fix_axes({-1: d})

    def keras_paths(self) -> dict[str, tf.Variable]:
        """Where a `.weights.h5` file of Keras has the weights: in a layer for each projection."""
        found = {}
        for part in ("query", "key", "value", "output"):
            for i, name in enumerate(("kernel", "bias")):
                weight = getattr(self, f"{part}_{name}", None)
                if weight is not None:
                    found[f"{part}_dense/vars/{i}"] = weight
        return found

    def _project(self, part: str, kernel: list[int], bias: list[int]) -> None:
        name = f"{part}_kernel"
        make = self.add_weight(
            name, kernel, self.kernel_initializer, regularizer=self.kernel_regularizer
        )
        setattr(self, name, make)
        name = f"{part}_bias"
        if self.use_bias:
            make = self.add_weight(
                name, bias, self.bias_initializer, regularizer=self.bias_regularizer
            )
        setattr(self, name, make if self.use_bias else None)

    def call(  # type: ignore[override]
        self,
        query: tf.Tensor,
        value: tf.Tensor | None = None,
        key: tf.Tensor | None = None,
        *,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """`[b, q, d] -> [b, q, output]`.

        Args:
            query: `[b, q, d]`.
            value: `[b, k, e]`; None means the query (self-attention).
            key: `[b, k, e]`; None means the value.
            query_mask: boolean `[b, q]`; the rows of False are zero before the output projection.
            value_mask: boolean `[b, k]`; False is not seen.
            key_mask: boolean `[b, k]`; False is not seen.
            attention_mask: boolean `[b, q, k]` or `[b, h, q, k]`; False is not seen.
            return_attention_scores: whether the weights `[b, h, q, k]` are returned too.
            training: whether dropout acts.
            use_causal_mask: whether a query sees only keys at its own place and before.
        """
        value = query if value is None else value
        key = value if key is None else key
        q = self._heads(query, self.query_kernel, self.query_bias)  # [b, q, h, key_dim]
        k = self._heads(key, self.key_kernel, self.key_bias)  # [b, k, h, key_dim]
        v = self._heads(value, self.value_kernel, self.value_bias)  # [b, k, h, value_dim]
        mask = combine_masks(query_mask, value_mask, key_mask, attention_mask)
        if use_causal_mask:
            causal = causal_mask(tf.shape(query)[1], tf.shape(key)[1])
            mask = causal if mask is None else tf.logical_and(mask, causal)
        weights = attend(q, k, mask)  # [b, h, q, k]
        seen = weights
        if training and self.dropout:
            seen = dropout(weights, self.dropout, self.next_seed(self.seed))
        mixed = tf.einsum("bhqk,bkhd->bqhd", seen, v)  # [b, q, h, value_dim]
        shape = tf.shape(query)
        flat = tf.reshape(mixed, [shape[0], shape[1], self.num_heads * self.value_dim])
        flat = tf.ensure_shape(flat, [*query.shape[:2], self.num_heads * self.value_dim])
        kernel = tf.reshape(self.cast(self.output_kernel), [flat.shape[-1], -1])
        kernel = tf.ensure_shape(kernel, [flat.shape[-1], self.output_kernel.shape[-1]])
        y = dense(flat, kernel, self.cast(self.output_bias))
        return (y, weights) if return_attention_scores else y

    def _heads(self, x: tf.Tensor, kernel: tf.Variable, bias: tf.Variable | None) -> tf.Tensor:
        """`[b, t, d] -> [b, t, h, k]` as one matrix product."""
        d, heads, k = kernel.shape
        if x.shape.rank != 3 or x.shape[-1] not in (None, d):
            raise ValueError(
                f"{self._label()} was built for query, key and value of rank 3, here with {d} "
                f"values on axis -1, got shape {x.shape}; feed the shape it was built with"
            )
        flat = None if bias is None else tf.reshape(self.cast(bias), [heads * k])
        y = dense(x, tf.reshape(self.cast(kernel), [d, heads * k]), flat)
        shape = tf.shape(x)
        y = tf.reshape(y, [shape[0], shape[1], heads, k])
        return tf.ensure_shape(y, [*x.shape[:2], heads, k])


def causal_mask(queries: Any, keys: Any) -> tf.Tensor:
    """Boolean `[1, 1, q, k]`: True where the key is not after the query."""
    return (tf.range(queries)[:, None] >= tf.range(keys)[None, :])[None, None]


def combine_masks(query: Any, value: Any, key: Any, attention: Any) -> tf.Tensor | None:
    """All masks that are given, and-ed: boolean, broadcasts to `[b, h, q, k]`; None if none is."""
    masks = []
    if query is not None:
        masks.append(tf.cast(query, tf.bool)[:, None, :, None])
    masks.extend(tf.cast(m, tf.bool)[:, None, None, :] for m in (value, key) if m is not None)
    if attention is not None:
        attention = tf.cast(attention, tf.bool)
        if attention.shape.rank not in (3, 4):
            raise ValueError(
                "attention_mask must have shape [b, q, k] or [b, h, q, k], got shape "
                f"{attention.shape}"
            )
        masks.append(attention if attention.shape.rank == 4 else attention[:, None])
    if not masks:
        return None
    combined = masks[0]
    for mask in masks[1:]:
        combined = tf.logical_and(combined, mask)
    return combined
