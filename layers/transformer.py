"""A pre-norm transformer block, and a stack of them that predicts the next token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from .attention import KVCache, MultiHeadAttention
from .base import Layer
from .core import Dense, positive_int
from .embedding import Embedding
from .grouped_attention import GroupedQueryAttention
from .layer_normalization import LayerNormalization
from .positions import PositionEmbedding
from .regularization import Dropout
from .reversible_embedding import ReversibleEmbedding


class TransformerBlock(Layer):
    """`x + attention(norm(x))`, then `x + mlp(norm(x))`: `[b, t, d] -> [b, t, d]`.

    Pre-norm, as in Radford et al. 2019 (GPT-2) and Xiong et al. 2020. The Llama form is
    `activation="swiglu", use_bias=False, normalization=RMSNormalization` with a `RotaryEncoding()`.

    Args:
        num_heads: h; each head has d / h features.
        intermediate_dim: width of the MLP.
        causal: whether a place sees only itself and those before.
        activation: of the MLP; "swiglu" (Shazeer 2020) multiplies two projections.
        dropout: rate for the attention weights and for what is added to x.
        use_bias: whether the projections have biases.
        normalization: called with no argument for each of the two norms.
        num_key_value_heads: heads of keys and values, if fewer than `num_heads`.
        sliding_window: see `MultiHeadAttention`.
        position_encoding: see `MultiHeadAttention`.
        flash_attention: see `MultiHeadAttention`.
        kernel_initializer: of all kernels.
        seed: an integer mixed into the seed of each dropout mask.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 3

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        *,
        causal: bool = False,
        activation: Any = "gelu",
        dropout: float = 0.0,
        use_bias: bool = True,
        normalization: Callable[[], Any] = LayerNormalization,
        num_key_value_heads: int | None = None,
        sliding_window: int | None = None,
        position_encoding: Any = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.num_heads = positive_int("num_heads", num_heads)
        self.intermediate_dim = positive_int("intermediate_dim", intermediate_dim)
        self.causal, self.activation, self.dropout = bool(causal), activation, dropout
        self.use_bias, self.normalization = use_bias, normalization
        self.num_key_value_heads, self.sliding_window = num_key_value_heads, sliding_window
        self.position_encoding, self.flash_attention = position_encoding, flash_attention
        self.kernel_initializer, self.seed = kernel_initializer, seed

    def build(self, input_shape: Any) -> None:
        """Creates the two norms, the attention and the MLP."""
        d = self.known_axis(input_shape)
        if d % self.num_heads:
            raise ValueError(
                f"{self._label()} shares {d} features among num_heads={self.num_heads}; make the "
                "number of features a multiple of it"
            )
        settings = {
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "sliding_window": self.sliding_window,
            "position_encoding": self.position_encoding,
            "flash_attention": self.flash_attention,
            "kernel_initializer": self.kernel_initializer,
            "seed": self.seed,
        }
        wide = self.activation in ("swiglu", "glu")
        dense = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        self.norm_1 = self.normalization()
        if self.num_key_value_heads is None:
            self.attention = MultiHeadAttention(self.num_heads, d // self.num_heads, **settings)
        else:
            self.attention = GroupedQueryAttention(
                d // self.num_heads,
                self.num_heads,
                num_key_value_heads=self.num_key_value_heads,
                **settings,
            )
        self.norm_2 = self.normalization()
        width = self.intermediate_dim * (2 if wide else 1)
        self.up = Dense(width, self.activation, **dense)
        self.down = Dense(d, **dense)
        self.drops = [Dropout(self.dropout, seed=self.seed) for _ in range(2)]
        self._pass_on()
        # Their weights belong to this layer's: built here, in this order.
        shape = (1, 1, d)
        self.norm_1.build(shape)
        self.attention.build(shape)
        self.norm_2.build(shape)
        self.up.build(shape)
        self.down.build((1, 1, self.intermediate_dim))
        self.fix_axes({-1: d})

    def call(  # type: ignore[override]
        self,
        inputs: tf.Tensor,
        mask: Any = None,
        cache: KVCache | None = None,
        index: Any = 0,
        training: bool = False,
    ) -> Any:
        """`[b, t, d] -> [b, t, d]`.

        Args:
            inputs: `[b, t, d]`.
            mask: boolean `[b, t]`; a place of False is not seen by any.
            cache: see `MultiHeadAttention`; the result is then `(output, cache)`.
            index: the place of the first step.
            training: whether dropout acts.
        """
        y = self.attention(
            self.norm_1(inputs, training=training),
            value_mask=mask,
            use_causal_mask=self.causal,
            cache=cache,
            index=index,
            training=training,
        )
        if cache is not None:
            y, cache = y
        x = inputs + self.drops[0](y, training=training)
        y = self.down(self.up(self.norm_2(x, training=training)))
        x = x + self.drops[1](y, training=training)
        return x if cache is None else (x, cache)

    def new_cache(self, batch: Any, length: int) -> KVCache:
        """An empty cache for `length` places of `batch` sequences."""
        return self.attention.new_cache(batch, length)

    def _pass_on(self) -> None:
        """Gives the parts what was set on the block before they existed."""
        for part in self.submodules:
            if isinstance(part, Layer):
                part.compute_dtype = self.compute_dtype
                part.seed_source = self.seed_source
                if not self.trainable:
                    part.trainable = False


class CausalTransformer(Layer):
    """Tokens to logits of the next one: integers `[b, t] -> [b, t, vocabulary_size]`.

    Embedding, positions, blocks, a last norm, and a `Dense` (or the embedding itself, turned
    round). `Generator` continues a text with it.

    Args:
        vocabulary_size: k, the number of tokens.
        width: d, the size of the vectors between the blocks.
        blocks: `TransformerBlock`s with `causal=True`.
        positions: a layer that adds positions, such as `PositionEmbedding(t)`; None where the
            blocks have a position encoding of their own.
        tie_weights: whether the embedding gives the logits too. Press and Wolf 2017.
        normalization: called with no argument for the last norm.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 2

    def __init__(
        self,
        vocabulary_size: int,
        width: int,
        *,
        blocks: Sequence[TransformerBlock],
        positions: Any = None,
        tie_weights: bool = False,
        normalization: Callable[[], Any] = LayerNormalization,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        for block in blocks:
            if not getattr(block, "causal", False):
                raise ValueError(
                    "blocks must be causal, or each place would see the token it is to predict; "
                    f"got {block!r}; make it TransformerBlock(..., causal=True)"
                )
        self.vocabulary_size, self.width = vocabulary_size, width
        self.tie_weights = bool(tie_weights)
        kind = ReversibleEmbedding if tie_weights else Embedding
        self.embedding = kind(vocabulary_size, width)
        self.positions = positions
        self.blocks = list(blocks)
        self.norm = normalization()
        self.logits = None if tie_weights else Dense(vocabulary_size)
        if not trainable:
            self.trainable = False

    def call(  # type: ignore[override]
        self,
        inputs: tf.Tensor,
        cache: Sequence[KVCache] | None = None,
        index: Any = 0,
        training: bool = False,
    ) -> Any:
        """`[b, t] -> [b, t, k]`.

        Args:
            inputs: tokens, integers `[b, t]`.
            cache: one `KVCache` a block, as `new_cache` makes them; the result is then
                `(logits, cache)`.
            index: the place of the first token.
            training: whether dropout acts.
        """
        x = self.embedding(inputs)
        if self.positions is not None:
            x = self.positions(x, index, training=training)
        caches: list[KVCache] = []
        for i, block in enumerate(self.blocks):
            with tf.name_scope(str(i)):
                if cache is None:
                    x = block(x, training=training)
                else:
                    x, new = block(x, cache=cache[i], index=index, training=training)
                    caches.append(new)
        x = self.norm(x, training=training)
        logits = self.embedding(x, reverse=True) if self.logits is None else self.logits(x)
        return logits if cache is None else (logits, caches)

    def new_cache(self, batch: Any, length: int) -> list[KVCache]:
        """Empty caches for `length` places of `batch` sequences, one a block.

        Raises:
            ValueError: if the positions do not reach so far.
        """
        places = getattr(self.positions, "sequence_length", length)
        if isinstance(self.positions, PositionEmbedding) and length > places:
            raise ValueError(
                f"{self._label()} has learnt {places} places, so length={length} is too much; use "
                f"length={places}, or train it with a longer PositionEmbedding"
            )
        return [block.new_cache(batch, length) for block in self.blocks]

    @property
    def built(self) -> bool:
        """Whether all parts are built."""
        parts = (self.embedding, self.positions, *self.blocks, self.norm, self.logits)
        return all(getattr(part, "built", True) for part in parts)
