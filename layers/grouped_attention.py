"""Attention whose keys and values are shared by groups of query heads."""

from __future__ import annotations

from typing import Any

from .attention import MultiHeadAttention
from .core import positive_int


class GroupedQueryAttention(MultiHeadAttention):
    """`MultiHeadAttention` with fewer heads of keys and values than of queries.

    Ainslie et al. 2023; one head of keys and values is multi-query attention, Shazeer 2019. Query
    head i uses the keys and values of head `i // (num_query_heads / num_key_value_heads)`. The
    cache is smaller by the same factor. Called as `MultiHeadAttention` is.

    Args:
        head_dim: size of each head.
        num_query_heads: number of query heads.
        num_key_value_heads: number of heads of keys and values; divides `num_query_heads`.
        dropout: rate for the attention weights.
        use_bias: whether the projections have biases.
        sliding_window: keys at a distance of so many places and more are not seen.
        flash_attention: see `MultiHeadAttention`.
        position_encoding: see `MultiHeadAttention`.
        kernel_initializer: of the kernels.
        bias_initializer: of the biases.
        kernel_regularizer: "l1", "l2", "l1_l2", or a callable kernel -> scalar.
        bias_regularizer: the same for the biases.
        seed: an integer mixed into the seed of each dropout mask.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    _keras_prefix = "_"

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        *,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        position_encoding: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            positive_int("num_query_heads", num_query_heads),
            positive_int("head_dim", head_dim),
            dropout=dropout,
            use_bias=use_bias,
            flash_attention=flash_attention,
            sliding_window=sliding_window,
            position_encoding=position_encoding,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            seed=seed,
            trainable=trainable,
            name=name,
        )
        self.head_dim, self.num_query_heads = self.key_dim, self.num_heads
        self.num_key_value_heads = positive_int("num_key_value_heads", num_key_value_heads)
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_key_value_heads must divide num_query_heads, {num_query_heads}, got "
                f"{num_key_value_heads}"
            )

    def _key_heads(self) -> int:
        return self.num_key_value_heads
