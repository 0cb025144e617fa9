"""Norms: how large each variable, its gradient and its update are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from trainer.gradients import global_norm
from trainer.instruments.base import Instrument, Seen


@dataclasses.dataclass(frozen=True)
class Norms(Instrument):
    """Euclidean norms, float32, for each variable that is updated.

    | name | value |
    |---|---|
    | `gradient_norm/layers/0/kernel` | of the gradient that the optimizer was given |
    | `weight_norm/...` | of the variable before the update |
    | `update_norm/...` | of what the update added to it |
    | `update_ratio/...` | update / weight; 0 while all weights are 0 |

    A ratio near 1e-3 is a common aim; one much larger or smaller tells of a learning rate that does
    not suit the variable.
    """

    def __call__(self, seen: Seen) -> Mapping[str, tf.Tensor]:
        """The norms of one update."""
        found: dict[str, tf.Tensor] = {}
        for name, gradient, before, after in zip(*seen, strict=True):
            if gradient is not None:
                found[f"gradient_norm/{name}"] = global_norm([gradient])
            weight, update = global_norm([before]), global_norm([after - before])
            found[f"weight_norm/{name}"] = weight
            found[f"update_norm/{name}"] = update
            found[f"update_ratio/{name}"] = tf.math.divide_no_nan(update, weight)
        return found
