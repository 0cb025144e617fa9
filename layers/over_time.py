"""What every layer that runs along time shares: masks, the states it begins with and keeps."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .base import Layer


class OverTime(Layer):
    """Inputs `[b, t, ...]` taken step by step; states are tensors `[b, size]`, in a flat order."""

    casts_integers = True
    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    # What a masked step puts out: zeros, or what the step before it did.
    zero_output_for_mask = False
    states: list[tf.Variable]

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero, as at the start of new sequences."""
        for variable in self.states if self.built else ():
            variable.assign(tf.zeros_like(variable))

    def _state_sizes(self) -> list[int]:
        raise NotImplementedError

    def _zero_states(self, inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The states of a new sequence."""
        rows, batch = tf.shape(inputs)[0], inputs.shape[0]
        return tuple(
            tf.ensure_shape(tf.zeros([rows, size], inputs.dtype), [batch, size])
            for size in self._state_sizes()
        )

    def _state_variables(self, batch: int | None) -> list[tf.Variable]:
        """Where a stateful layer keeps its states; none in others."""
        if not self.stateful:
            return []
        if batch is None:
            raise ValueError(
                f"{self._label()} has stateful=True and needs to know the batch size when it is "
                "built; call it once on a batch of the size it will be given"
            )
        return [
            self.add_weight("state", [batch, size], "zeros", trainable=False)
            for size in self._state_sizes()
        ]

    def _keep(self, states: tuple[tf.Tensor, ...]) -> None:
        for variable, state in zip(self.states, states, strict=False):
            variable.assign(tf.cast(state, variable.dtype))

    def _time_first(self, x: tf.Tensor, mask: Any) -> tuple[tf.Tensor, tf.Tensor | None]:
        """`[t, b, ...]` in the order of the steps, and the mask as `[t, b, 1]`."""
        seen = None if mask is None else self._mask(mask, x)
        x = tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
        if self.go_backwards:
            x = tf.reverse(x, [0])
            seen = None if seen is None else tf.reverse(seen, [0])
        return x, seen

    def _mask(self, mask: Any, inputs: tf.Tensor) -> tf.Tensor:
        """The mask as boolean `[t, b, 1]`."""
        mask = tf.cast(mask, tf.bool)
        if not mask.shape.is_compatible_with(inputs.shape[:2]):
            raise ValueError(
                f"mask of {self._label()} must have shape [batch, time], here "
                f"{inputs.shape[:2]}, got {mask.shape}"
            )
        return tf.transpose(mask)[..., None]

    def _masked_outputs(self, outputs: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """Zeros where nothing was seen yet, or at all masked steps: `[t, b, u]`."""
        if not self.zero_output_for_mask:
            seen = tf.cumsum(tf.cast(seen, tf.int32), 0) > 0
        return tf.where(seen, outputs, tf.zeros_like(outputs))

    def _initial_state(self, inputs: tf.Tensor, given: Any) -> tuple[tf.Tensor, ...]:
        if given is None and self.stateful:
            batch, size = inputs.shape[0], self.states[0].shape[0]
            if batch not in (None, size):
                raise ValueError(
                    f"{self._label()} is stateful for batches of {size}, got one of {batch}; feed "
                    "whole batches (drop a ragged last one), or make the layer stateful=False"
                )
            return tuple(tf.cast(v, inputs.dtype) for v in self.states)
        if given is None:
            return self._zero_states(inputs)
        states, sizes = tf.nest.flatten(given), self._state_sizes()
        if len(states) != len(sizes):
            raise ValueError(
                f"initial_state of {self._label()} must hold {len(sizes)} tensors [batch, size] "
                f"of sizes {sizes}, got {len(states)}"
            )
        return tuple(tf.cast(s, inputs.dtype) for s in states)
