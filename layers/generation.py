"""Continues sequences token by token, with the keys and values of earlier places kept."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .core import positive_int


class Generator:
    """A compiled loop that extends prompts: integers `[b, t] -> [b, t + steps]`.

    Compiled once for each shape of prompt; the number of steps and the seed may change freely.

    Args:
        model: has `new_cache(batch, length)`, and `model(tokens, cache=cache, index=place)` gives
            `(logits [b, t, k], cache)`, as `CausalTransformer` does.
        length: the most places a sequence may have, prompt included; the cache's size.
        temperature: logits are divided by it before one token is drawn; 0 takes the likeliest.
        top_k: how many of the likeliest tokens are drawn from; None means all.
        stop_token: a sequence that has drawn it draws nothing else, and when all have, the loop
            ends.
        jit_compile: whether XLA compiles the loop.
    """

    def __init__(
        self,
        model: Any,
        length: int,
        *,
        temperature: float = 0.0,
        top_k: int | None = None,
        stop_token: int | None = None,
        jit_compile: bool = False,
    ) -> None:
        if temperature < 0:
            raise ValueError(f"temperature must be 0 or more, got {temperature}")
        self.model = model
        self.length = positive_int("length", length)
        self.temperature = float(temperature)
        self.top_k = None if top_k is None else positive_int("top_k", top_k)
        self.stop_token = stop_token
        self._run = tf.function(self._loop, jit_compile=jit_compile or None, autograph=False)

    def __call__(self, prompt: Any, steps: int, *, seed: Any = (0, 0)) -> tf.Tensor:
        """Tokens `[b, t + steps]`, int32; fewer if all sequences have drawn the stop token.

        Args:
            prompt: tokens `[b, t]`, t at least 1.
            steps: how many tokens are added.
            seed: two integers; the same seed draws the same.
        """
        prompt = tf.cast(prompt, tf.int32)
        if prompt.shape.rank != 2 or prompt.shape[1] == 0:
            raise ValueError(
                f"prompt must have shape [batch, time] with a token at least, got {prompt.shape}"
            )
        t = int(prompt.shape[1])
        if steps < 0 or t + steps > self.length:
            raise ValueError(
                f"steps must be 0 to {self.length - t} after a prompt of {t} with "
                f"length={self.length}, got {steps}; make a Generator of a greater length"
            )
        if not getattr(self.model, "built", True):
            self.model(prompt)
        tokens, end = self._run(prompt, tf.constant(steps), tf.cast(seed, tf.int32))
        return tf.transpose(tokens)[:, : int(end)]

    def _loop(self, prompt: tf.Tensor, steps: tf.Tensor, seed: tf.Tensor) -> Any:
        """All places' tokens `[length, b]`, and how many of them count."""
        b, t = prompt.shape
        cache = self.model.new_cache(b, self.length)
        logits, cache = self.model(prompt, cache=cache, index=0)
        tokens = tf.pad(tf.transpose(prompt), [[0, self.length - t], [0, 0]])

        def more(i: Any, drawn: tf.Tensor, tokens: tf.Tensor, done: tf.Tensor, cache: Any) -> Any:
            return tf.logical_and(i < t + steps, tf.logical_not(tf.reduce_all(done)))

        def body(i: Any, logits: tf.Tensor, tokens: tf.Tensor, done: tf.Tensor, cache: Any) -> Any:
            # Drawn for place i from what place i - 1 says.
            drawn = self._draw(logits, tf.random.experimental.stateless_fold_in(seed, i))
            if self.stop_token is not None:
                drawn = tf.where(done, self.stop_token, drawn)
                done = drawn == self.stop_token
            tokens = tf.tensor_scatter_nd_update(tokens, [[i]], drawn[None])
            logits, cache = self.model(drawn[:, None], cache=cache, index=i)
            return i + 1, logits[:, -1], tokens, done, cache

        state = (tf.constant(t), logits[:, -1], tokens, tf.zeros([b], tf.bool), cache)
        end, _, tokens, _, _ = tf.while_loop(more, body, state)
        return tokens, end

    def _draw(self, logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """One token of each row: `[b, k] -> [b]`, int32."""
        if self.temperature == 0.0:
            return tf.argmax(logits, -1, tf.int32)
        logits = tf.cast(logits, tf.float32) / self.temperature
        if self.top_k is not None:
            values, places = tf.math.top_k(logits, self.top_k)
            picked = tf.random.stateless_categorical(values, 1, seed, tf.int32)
            return tf.gather(places, picked, axis=1, batch_dims=1)[:, 0]
        return tf.random.stateless_categorical(logits, 1, seed, tf.int32)[:, 0]
