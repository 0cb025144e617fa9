"""Dot-product attention as pure functions: masks, weights, and the form that keeps no weights."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from .activations import masked_softmax, softmax

CHUNK = 256  # queries whose weights exist at a time


def attend(
    q: tf.Tensor, k: tf.Tensor, mask: tf.Tensor | None = None, *, blind: bool = True
) -> tf.Tensor:
    """Attention weights `softmax(q k' / sqrt(d))`, the softmax in float32.

    Args:
        q: `[b, q, h, d]`.
        k: `[b, k, h, d]`.
        mask: boolean, broadcast to `[b, h, q, k]`; True may be seen. A query that may see nothing
            gets zero weights.
        blind: whether there may be such a query; False spares a pass over the weights.

    Returns:
        `[b, h, q, k]`.
    """
    q = q * tf.cast(1.0 / math.sqrt(q.shape[-1]), q.dtype)
    scores = tf.einsum("bqhd,bkhd->bhqk", q, k)  # [b, h, q, k]
    if mask is None:
        return softmax(scores)
    if blind:
        return masked_softmax(scores, mask)
    return softmax(tf.where(mask, scores, tf.constant(scores.dtype.min / 2, scores.dtype)))


def mix(weights: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """The weighted sum of values: `[b, h, q, k], [b, k, h, d] -> [b, q, h, d]`."""
    return tf.einsum("bhqk,bkhd->bqhd", weights, v)


def chunked_attention(
    q: tf.Tensor,
    k: tf.Tensor,
    v: tf.Tensor,
    *,
    mask: tf.Tensor | None = None,
    causal: bool = False,
    window: int | None = None,
    chunk: int = CHUNK,
) -> tf.Tensor:
    """`mix(attend(q, k, mask), v)` without ever holding all weights. After Dao et al. 2022.

    Queries are taken by chunks; what a chunk keeps for its gradient is one number a query, and the
    weights are computed again from it. Keys that a causal mask or a window hides from a whole chunk
    are not touched: half of the work for a long causal sequence.

    Args:
        q: `[b, q, h, d]`, of known length.
        k: `[b, k, h, d]`, of known length.
        v: `[b, k, h, e]`.
        mask: boolean, broadcasts to `[b, h, q, k]`; True may be seen.
        causal: whether a query sees only keys at its own place and before.
        window: keys at a distance of `window` and more are not seen; None means all are.
        chunk: queries a chunk.

    Returns:
        `[b, q, h, e]`; zeros for a query that sees nothing.
    """
    queries, keys = q.shape[1], k.shape[1]
    if queries is None or keys is None:
        raise ValueError(
            "attention by chunks needs sequences of known length, got query "
            f"{q.shape} and key {k.shape}; set the length with tf.ensure_shape, or use "
            "flash_attention=False"
        )
    parts = []
    for start in range(0, queries, chunk):
        stop = min(start + chunk, queries)
        low = 0 if window is None else min(max(0, start - window + 1), keys)
        high = keys if window is None else max(low, min(keys, stop + window - 1))
        high = min(high, stop) if causal else high
        seen = place_mask(range(start, stop), range(low, high), causal, window)
        if mask is not None:
            rows = mask if mask.shape[-2] == 1 else mask[..., start:stop, :]
            rows = rows if rows.shape[-1] == 1 else rows[..., low:high]
            seen = rows if seen is None else tf.logical_and(rows, seen)
        blind = mask is not None or (window is not None and queries > keys)
        parts.append(_chunk(q[:, start:stop], k[:, low:high], v[:, low:high], seen, blind))
    return tf.concat(parts, 1)


def _chunk(
    q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask: tf.Tensor | None, blind: bool
) -> tf.Tensor:
    """Attention whose gradient computes the weights anew: `[b, q, h, e]`.

    `blind` is whether a query may see nothing.
    """
    scale = tf.cast(1.0 / math.sqrt(q.shape[-1]), q.dtype)

    def scores_of(q: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        scores = tf.cast(tf.einsum("bqhd,bkhd->bhqk", q, k), tf.float32)
        # Finite, so that a query that sees nothing has no NaN.
        return scores if mask is None else tf.where(mask, scores, tf.float32.min / 2)

    def shown(weights: tf.Tensor) -> tf.Tensor:
        return tf.where(mask, weights, tf.zeros_like(weights)) if blind else weights

    @tf.custom_gradient
    def run(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) -> Any:
        scores = scores_of(q * scale, k)
        highest = tf.reduce_max(scores, -1, keepdims=True)
        powers = tf.exp(scores - highest)  # [b, h, q, k]
        total = tf.reduce_sum(powers, -1, keepdims=True)  # [b, h, q, 1]
        log_total = highest + tf.math.log(total)
        # Divided after the product, where there are fewer numbers.
        mixed = mix(tf.cast(shown(powers), q.dtype), v)
        y = mixed / tf.cast(tf.transpose(total, [0, 2, 1, 3]), q.dtype)

        def gradient(d_y: tf.Tensor) -> tuple[tf.Tensor, ...]:
            # Waits for d_y, and scales k instead of q: otherwise the compiler finds that it has
            # these scores already, and keeps those.
            with tf.control_dependencies([d_y]):
                weights = shown(tf.exp(scores_of(q, k * scale) - log_total))
            d_v = tf.einsum("bhqk,bqhe->bkhe", tf.cast(weights, q.dtype), d_y)
            d_weights = tf.cast(tf.einsum("bqhe,bkhe->bhqk", d_y, v), tf.float32)
            # sum(weights d_weights) of a query is d_y . y
            inner = tf.reduce_sum(tf.cast(d_y * y, tf.float32), -1)  # [b, q, h]
            inner = tf.transpose(inner, [0, 2, 1])[..., None]
            d_scores = tf.cast(weights * (d_weights - inner), q.dtype)
            d_q = tf.einsum("bhqk,bkhd->bqhd", d_scores, k * scale)
            return d_q, tf.einsum("bhqk,bqhd->bkhd", d_scores, q * scale), d_v

        return y, gradient

    return run(q, k, v)


def place_mask(queries: Any, keys: Any, causal: bool, window: int | None) -> tf.Tensor | None:
    """Which places see which: boolean `[1, 1, q, k]`; None if all see all.

    Args:
        queries: the places of the queries, a range or an integer tensor `[q]`.
        keys: the places of the keys.
        causal: whether a key after the query is hidden.
        window: keys at a distance of `window` and more are hidden; None means none are.
    """
    if not causal and window is None:
        return None
    distance = tf.convert_to_tensor(queries)[:, None] - tf.convert_to_tensor(keys)[None, :]
    seen = distance >= 0 if causal else tf.ones_like(distance, tf.bool)
    if window is not None:
        seen = tf.logical_and(seen, tf.abs(distance) < window)
    return seen[None, None]


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
    return both_masks(*masks)


def both_masks(*masks: tf.Tensor | None) -> tf.Tensor | None:
    """The masks that are not None, and-ed; None if there is none."""
    combined = None
    for mask in masks:
        if mask is not None:
            combined = mask if combined is None else tf.logical_and(combined, mask)
    return combined
