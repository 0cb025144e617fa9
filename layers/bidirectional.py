"""A recurrent layer run in both directions of time."""

from __future__ import annotations

import copy
from typing import Any

import tensorflow as tf

from .base import Layer
from .over_time import OverTime

MERGES = ("concat", "sum", "ave", "mul", None)


class Bidirectional(Layer):
    """Runs a recurrent layer and its mirror: `[b, t, d] -> [b, 2 u]`. Schuster and Paliwal 1997.

    With `return_sequences` the result is `[b, t, 2 u]`; masked steps are zero in it, and the
    mirror's outputs stand at the steps they belong to.

    Args:
        layer: a `SimpleRNN`, `GRU`, `LSTM` or `RNN`, not built yet; it becomes `forward_layer`.
        merge_mode: "concat", "sum", "ave", "mul", or None for a tuple of both outputs.
        backward_layer: the layer for the other direction; None means one like `layer`, with weights
            of its own.
        trainable: see `Layer`.
        name: see `Layer`.
    """

    input_rank = 3

    def __init__(
        self,
        layer: OverTime,
        merge_mode: str | None = "concat",
        *,
        backward_layer: OverTime | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        if merge_mode not in MERGES:
            raise ValueError(f"merge_mode must be one of {MERGES}, got {merge_mode!r}")
        for argument, given in (("layer", layer), ("backward_layer", backward_layer)):
            wanted = given is not None or argument == "layer"
            if wanted and not isinstance(given, OverTime):
                raise TypeError(
                    f"{argument} must be a SimpleRNN, GRU, LSTM or RNN, got {given!r}; mirror "
                    "other layers by tf.reverse(x, [1])"
                )
        if backward_layer is None:
            if layer.built:
                raise ValueError(
                    "layer is built already, so that its mirror would begin with its weights; give "
                    "a new layer, or backward_layer"
                )
            backward_layer = copy.deepcopy(layer)
            backward_layer.go_backwards = not layer.go_backwards
        self._check_twins(layer, backward_layer)
        self.merge_mode = merge_mode
        self.forward_layer, self.backward_layer = layer, backward_layer
        for part in (layer, backward_layer):
            part.zero_output_for_mask = layer.return_sequences
        if not trainable:
            self.trainable = False

    def call(  # type: ignore[override]
        self,
        inputs: tf.Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """`[b, t, d] -> [b, 2 u]`, or `[b, t, 2 u]` with `return_sequences`.

        Args:
            inputs: `[b, t, d]`.
            initial_state: the states of the forward layer, then those of the backward layer.
            mask: boolean `[b, t]`, see the layer.
            training: whether dropout acts.

        Returns:
            The merged output; with `return_state` a tuple of it and the last states of both.
        """
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = initial_state[:half], initial_state[half:]
        outputs, states = [], []
        for layer, given in zip((self.forward_layer, self.backward_layer), halves, strict=True):
            result = layer(inputs, initial_state=given, mask=mask, training=training)
            if layer.return_state:
                result, *last = result
                states += last
            outputs.append(result)
        if self.forward_layer.return_sequences:
            outputs[1] = tf.reverse(outputs[1], [1])
        merged = self._merged(*outputs)
        if not self.forward_layer.return_state:
            return merged
        return (*merged, *states) if self.merge_mode is None else (merged, *states)

    def reset_state(self) -> None:
        """Sets the states of stateful layers to zero."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    @property
    def layer(self) -> OverTime:
        """The layer that was given: the forward one."""
        return self.forward_layer

    @property
    def built(self) -> bool:
        """Whether both layers are built."""
        return self.forward_layer.built and self.backward_layer.built

    def _merged(self, forward: tf.Tensor, backward: tf.Tensor) -> Any:
        if self.merge_mode is None:
            return forward, backward
        if self.merge_mode == "concat":
            return tf.concat([forward, backward], -1)
        if self.merge_mode == "mul":
            return forward * backward
        total = forward + backward
        return total if self.merge_mode == "sum" else total * tf.cast(0.5, total.dtype)

    def _check_twins(self, forward: OverTime, backward: OverTime) -> None:
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "layer and backward_layer must run in different directions, both have "
                f"go_backwards={forward.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            values = getattr(forward, name), getattr(backward, name)
            if values[0] != values[1]:
                raise ValueError(
                    f"layer and backward_layer must agree in {name}, got {values[0]} and "
                    f"{values[1]}"
                )
