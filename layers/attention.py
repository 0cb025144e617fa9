"""Multi-head attention, over a sequence at once or step by step with a cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from .base import Layer
from .core import dense, positive_int
from .dot_product import attend, both_masks, chunked_attention, combine_masks, mix, place_mask
from .regularization import checked_rate, dropout

FLASH_LENGTH = 512  # from so many keys on, weights are not kept unless asked for


class KVCache(NamedTuple):
    """Keys and values of the places seen so far: `[length, b, h, key_dim]`, `[..., value_dim]`.

    Time comes first, so that a step writes one row.
    """

    keys: tf.Tensor
    values: tf.Tensor


class MultiHeadAttention(Layer):
    """Attention of `query` over `value`: `[b, q, d], [b, k, e] -> [b, q, d]`. Vaswani et al. 2017.

    Args:
        num_heads: h, the number of heads.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values; None means `key_dim`.
        dropout: rate for the attention weights.
        use_bias: whether the projections have biases.
        output_shape: size of the output's last axis; None means the query's.
        flash_attention: whether queries are taken by chunks whose weights are not kept; None means
            where there are 512 keys or more, and nothing that needs the weights. The few queries
            of a call with a cache are always taken at once.
        sliding_window: keys at a distance of so many places and more are not seen.
        position_encoding: a function of queries or keys `[b, t, h, d]` and their places `[t]`, such
            as `RotaryEncoding()`.
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
    _keras_prefix = ""  # of what Keras calls its projections

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        *,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | None = None,
        flash_attention: bool | None = None,
        sliding_window: int | None = None,
        position_encoding: Any = None,
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
        self.flash_attention = flash_attention
        self.sliding_window = (
            None if sliding_window is None else positive_int("sliding_window", sliding_window)
        )
        if position_encoding is not None and not callable(position_encoding):
            raise TypeError(
                "position_encoding must be a function of heads and places such as "
                f"layers.RotaryEncoding(), got {position_encoding!r}"
            )
        self.position_encoding = position_encoding
        if flash_attention and dropout:
            raise ValueError(
                f"flash_attention=True keeps no weights that dropout={dropout} could act on; use "
                "one of the two"
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
        shared = self._key_heads()
        self._project("query", [d, heads, k], [heads, k])
        self._project("key", [self.known_axis(key), shared, k], [shared, k])
        self._project("value", [self.known_axis(value), shared, v], [shared, v])
        self._project("output", [heads, v, output], [output])
        self.fix_axes({-1: d})

    def keras_paths(self) -> dict[str, tf.Variable]:
        """Where a `.weights.h5` file of Keras has the weights: in a layer for each projection."""
        found = {}
        for part in ("query", "key", "value", "output"):
            for i, name in enumerate(("kernel", "bias")):
                weight = getattr(self, f"{part}_{name}", None)
                if weight is not None:
                    found[f"{self._keras_prefix}{part}_dense/vars/{i}"] = weight
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
        cache: KVCache | None = None,
        index: Any = 0,
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
            cache: keys and values of earlier places. Those of this call are written at `index` and
                after, and its queries see all up to their own place. The result is then
                `(output, cache)`.
            index: the place of the first query, an integer or a scalar tensor.
        """
        value = query if value is None else value
        key = value if key is None else key
        q = self._heads(query, self.query_kernel, self.query_bias)  # [b, q, h, key_dim]
        k = self._heads(key, self.key_kernel, self.key_bias)  # [b, k, h, key_dim]
        v = self._heads(value, self.value_kernel, self.value_bias)  # [b, k, h, value_dim]
        if self.position_encoding is not None:
            q, k = (self.position_encoding(x, index + tf.range(tf.shape(x)[1])) for x in (q, k))
        mask = combine_masks(query_mask, value_mask, key_mask, attention_mask)
        if cache is not None:
            cache = self._written(cache, k, v, index)
            k, v = (tf.transpose(x, [1, 0, 2, 3]) for x in cache)
        k, v = self._for_each_query_head(k), self._for_each_query_head(v)
        causal = use_causal_mask or cache is not None
        weights = None
        if self._flash(q, k, return_attention_scores, training, cache):
            mixed = chunked_attention(q, k, v, mask=mask, causal=causal, window=self.sliding_window)
        else:
            places = [tf.range(tf.shape(x)[1]) for x in (q, k)]
            start = 0 if cache is None else index
            seen = place_mask(start + places[0], places[1], causal, self.sliding_window)
            # By its place alone a query sees itself at least, where it is among the keys.
            blind = mask is not None or (self.sliding_window is not None and key is not query)
            weights = attend(q, k, both_masks(mask, seen), blind=blind)  # [b, h, q, k]
            dropped = weights
            if training and self.dropout:
                dropped = dropout(weights, self.dropout, self.next_seed(self.seed))
            mixed = mix(dropped, v)  # [b, q, h, value_dim]
        y = self._output(mixed, query)
        results = (y, *([weights] if return_attention_scores else []))
        results += () if cache is None else (cache,)
        return results if len(results) > 1 else y

    def new_cache(self, batch: Any, length: int) -> KVCache:
        """A cache for `length` places of `batch` sequences, in `compute_dtype`."""
        heads = self._key_heads()
        return KVCache(
            tf.zeros([length, batch, heads, self.key_dim], self.compute_dtype),
            tf.zeros([length, batch, heads, self.value_dim], self.compute_dtype),
        )

    def _key_heads(self) -> int:
        """How many heads of keys and values there are."""
        return self.num_heads

    def _for_each_query_head(self, x: tf.Tensor) -> tf.Tensor:
        """Keys or values `[b, k, key heads, d]`, repeated to `[b, k, h, d]`."""
        repeats = self.num_heads // self._key_heads()
        return x if repeats == 1 else tf.repeat(x, repeats, axis=2)

    def _flash(self, q: tf.Tensor, k: tf.Tensor, scores: bool, training: bool, cache: Any) -> bool:
        """Whether the weights are not kept."""
        if self.flash_attention and scores:
            raise ValueError(
                f"{self._label()} has flash_attention=True, which does not go with "
                "return_attention_scores=True; make it flash_attention=None, which chunks only "
                "where it can"
            )
        if cache is not None:
            return False
        if self.flash_attention is not None:
            return self.flash_attention
        needs_weights = scores or (training and self.dropout > 0)
        known = q.shape[1] is not None and k.shape[1] is not None
        return known and not needs_weights and k.shape[1] >= FLASH_LENGTH

    def _written(self, cache: KVCache, k: tf.Tensor, v: tf.Tensor, index: Any) -> KVCache:
        """The cache with keys and values at `index` and after."""
        rows = (index + tf.range(tf.shape(k)[1]))[:, None]
        return KVCache(
            *(
                tf.tensor_scatter_nd_update(old, rows, tf.transpose(new, [1, 0, 2, 3]))
                for old, new in zip(cache, (k, v), strict=True)
            )
        )

    def _output(self, mixed: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """The output projection: `[b, q, h, value_dim] -> [b, q, output]`."""
        shape, width = tf.shape(query), self.num_heads * self.value_dim
        flat = tf.reshape(mixed, [shape[0], shape[1], width])
        flat = tf.ensure_shape(flat, [*query.shape[:2], width])
        kernel = tf.reshape(self.cast(self.output_kernel), [width, self.output_kernel.shape[-1]])
        return dense(flat, kernel, self.cast(self.output_bias))

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
