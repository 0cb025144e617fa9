"""Ranking: losses of the order of a list."""

from __future__ import annotations

import tensorflow as tf

from losses.base import Loss, TensorLike, align
from losses.scores import check_positive


def ranking_softmax(y_true: TensorLike, y_pred: TensorLike, temperature: float = 1.0) -> tf.Tensor:
    """`-sum_i y_i log softmax(s / T)_i` over the items of each list: [b, n] -> [b].

    ListNet (Cao et al. 2007) in the form of Bruch et al. 2019. A list in which nothing is relevant
    costs 0.

    Args:
        y_true: Relevance of each item, from 0 on; below 0: there is no item (padding).
        y_pred: Scores of the same shape.
        temperature: T, above 0.

    Raises:
        ValueError: the shapes differ.
    """
    y_true, y_pred = align(y_true, y_pred)
    real = y_true >= 0.0
    # Low rather than -inf: of a list of nothing but padding the softmax is not NaN.
    scores = tf.where(real, y_pred / temperature, -1e30)
    logs = tf.where(real, tf.nn.log_softmax(scores, -1), 0.0)
    return -tf.reduce_sum(tf.maximum(y_true, 0.0) * logs, -1)


class RankingSoftmax(Loss):
    """See `ranking_softmax`.

    Args:
        temperature: Above 0.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "ranking_softmax",
    ):
        super().__init__(name=name, reduction=reduction)
        self.temperature = check_positive("temperature", temperature)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, n] -> [b]."""
        return ranking_softmax(y_true, y_pred, self.temperature)
