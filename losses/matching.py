"""Contrastive losses: which of many candidates belongs to an example.

The candidates are the batch's own, so the value of an example depends on its neighbours: in parts
of a batch (`accumulate`) it sees fewer of them. To compare with more (those of other replicas),
pass all candidates as `keys`, with `offset` saying at which row the batch's own begin; then the
values and gradients of the parts add up to those of the whole.
"""

from __future__ import annotations

import tensorflow as tf

from losses.base import Loss, TensorLike, as_tensor
from losses.scores import check_positive


def info_nce(
    y_true: TensorLike,
    y_pred: TensorLike,
    temperature: TensorLike = 0.07,
    keys: TensorLike | None = None,
    offset: TensorLike = 0,
    normalize: bool = True,
) -> tf.Tensor:
    """`-log softmax_j(y_pred_i . key_j / T)` at j = i: [b, d] against [b, d] -> [b].

    van den Oord et al. 2018.

    Args:
        y_true: The candidate that belongs to each example, [b, d]; gradients reach it.
        y_pred: The examples' embeddings, [b, d].
        temperature: T, above 0; may be a tensor that is learnt.
        keys: All candidates [m, d], `y_true` among them; `y_true` itself by default.
        offset: The row of `keys` at which `y_true` begins.
        normalize: Whether to bring embeddings to length 1, so that products are cosines.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> texts, images = tf.eye(3), 5.0 * tf.eye(3)
        >>> info_nce(texts, images, temperature=1.0).numpy().round(4)
        array([0.5514, 0.5514, 0.5514], dtype=float32)
    """
    query, own = _embeddings(y_true, y_pred, normalize)
    candidates = own if keys is None else _unit(keys, normalize)
    logits = tf.matmul(query, candidates, transpose_b=True) / temperature
    return _cross_entropy(logits, offset)


def clip(
    y_true: TensorLike,
    y_pred: TensorLike,
    temperature: TensorLike = 0.07,
    keys: tuple[TensorLike, TensorLike] | None = None,
    offset: TensorLike = 0,
    normalize: bool = True,
) -> tf.Tensor:
    """The mean of `info_nce` in both directions: [b, d] against [b, d] -> [b].

    CLIP (Radford et al. 2021), of images and texts say.

    Args:
        y_true: One side's embeddings, [b, d].
        y_pred: The other side's, [b, d].
        temperature: T, above 0; may be a tensor that is learnt.
        keys: All of both sides, in that order, [m, d] each; the batch itself by default.
        offset: The row of both at which the batch's own begin.
        normalize: Whether to bring embeddings to length 1.
    """
    all_true, all_pred = (None, None) if keys is None else keys
    there = info_nce(y_true, y_pred, temperature, all_true, offset, normalize)
    back = info_nce(y_pred, y_true, temperature, all_pred, offset, normalize)
    return 0.5 * (there + back)


def nt_xent(
    y_true: TensorLike,
    y_pred: TensorLike,
    temperature: TensorLike = 0.1,
    keys: tuple[TensorLike, TensorLike] | None = None,
    offset: TensorLike = 0,
) -> tf.Tensor:
    """SimCLR's loss of two views of each example: [b, d] against [b, d] -> [b].

    Chen et al. 2020: each view must find the other among all views of the batch but itself, by
    cosine over T. The value is the mean over an example's two views.

    Args:
        y_true: Embeddings of one view, [b, d]; gradients reach it.
        y_pred: Embeddings of the other, [b, d].
        temperature: T, above 0; may be a tensor that is learnt.
        keys: All of both views, in that order, [m, d] each; the batch itself by default.
        offset: The row of both at which the batch's own begin.
    """
    b, a = _embeddings(y_true, y_pred, True)
    all_a, all_b = (a, b) if keys is None else (_unit(k, True) for k in keys)
    itself = _own(tf.shape(a)[0], tf.shape(all_a)[0], offset)

    def view(query: tf.Tensor, same: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        among = tf.where(itself, -1e30, tf.matmul(query, same, transpose_b=True) / temperature)
        across = tf.matmul(query, other, transpose_b=True) / temperature
        return _cross_entropy(tf.concat([across, among], 1), offset)

    return 0.5 * (view(a, all_a, all_b) + view(b, all_b, all_a))


def siglip(
    y_true: TensorLike,
    y_pred: TensorLike,
    temperature: TensorLike = 0.1,
    bias: TensorLike = -10.0,
    keys: TensorLike | None = None,
    offset: TensorLike = 0,
    normalize: bool = True,
) -> tf.Tensor:
    """`-sum_j log sigmoid(s (y_pred_i . key_j / T + bias))`, s = 1 at j = i, else -1: -> [b].

    SigLIP (Zhai et al. 2023): every pair is a question of its own, so no softmax runs over the
    batch.

    Args:
        y_true: One side's embeddings, [b, d]; gradients reach it.
        y_pred: The other side's, [b, d].
        temperature: T, above 0; may be a tensor that is learnt.
        bias: Added to all logits, since most pairs do not belong together; may be learnt.
        keys: All candidates [m, d], `y_true` among them; `y_true` itself by default.
        offset: The row of `keys` at which `y_true` begins.
        normalize: Whether to bring embeddings to length 1.
    """
    query, own = _embeddings(y_true, y_pred, normalize)
    candidates = own if keys is None else _unit(keys, normalize)
    logits = tf.matmul(query, candidates, transpose_b=True) / temperature + bias
    belongs = _own(tf.shape(query)[0], tf.shape(candidates)[0], offset)
    return tf.reduce_sum(tf.math.softplus(tf.where(belongs, -logits, logits)), 1)


class InfoNCE(Loss):
    """See `info_nce`.

    Args:
        temperature: Above 0.
        normalize: Whether to bring embeddings to length 1.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        temperature: float = 0.07,
        normalize: bool = True,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "info_nce",
    ):
        super().__init__(name=name, reduction=reduction)
        self.temperature = check_positive("temperature", temperature)
        self.normalize = normalize

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, d] against [b, d] -> [b]."""
        return info_nce(y_true, y_pred, self.temperature, normalize=self.normalize)


class CLIP(Loss):
    """See `clip`.

    Args:
        temperature: Above 0.
        normalize: Whether to bring embeddings to length 1.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        temperature: float = 0.07,
        normalize: bool = True,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "clip",
    ):
        super().__init__(name=name, reduction=reduction)
        self.temperature = check_positive("temperature", temperature)
        self.normalize = normalize

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, d] against [b, d] -> [b]."""
        return clip(y_true, y_pred, self.temperature, normalize=self.normalize)


class NTXent(Loss):
    """See `nt_xent`.

    Args:
        temperature: Above 0.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "nt_xent",
    ):
        super().__init__(name=name, reduction=reduction)
        self.temperature = check_positive("temperature", temperature)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, d] against [b, d] -> [b]."""
        return nt_xent(y_true, y_pred, self.temperature)


class SigLIP(Loss):
    """See `siglip`.

    Args:
        temperature: Above 0.
        bias: Added to all logits.
        normalize: Whether to bring embeddings to length 1.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        bias: float = -10.0,
        normalize: bool = True,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "siglip",
    ):
        super().__init__(name=name, reduction=reduction)
        self.temperature = check_positive("temperature", temperature)
        self.bias = bias
        self.normalize = normalize

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, d] against [b, d] -> [b]."""
        return siglip(y_true, y_pred, self.temperature, self.bias, normalize=self.normalize)


def _embeddings(
    y_true: TensorLike, y_pred: TensorLike, normalize: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The examples and what belongs to them, [b, d] each."""
    own, query = _unit(y_true, normalize), _unit(y_pred, normalize)
    if query.shape.rank != 2 or not own.shape.is_compatible_with(query.shape):
        raise ValueError(
            f"y_true has shape {own.shape} and y_pred {query.shape}; both must be embeddings "
            "[b, d], row i of one belonging to row i of the other."
        )
    return query, own


def _unit(embeddings: TensorLike, normalize: bool) -> tf.Tensor:
    embeddings = tf.cast(as_tensor(embeddings), tf.float32)
    return tf.math.l2_normalize(embeddings, -1, epsilon=1e-12) if normalize else embeddings


def _own(rows: tf.Tensor, candidates: tf.Tensor, offset: TensorLike) -> tf.Tensor:
    """Which candidate is each row's own, [b, m]."""
    mine = tf.range(rows) + tf.cast(offset, tf.int32)
    return mine[:, tf.newaxis] == tf.range(candidates)[tf.newaxis]


def _cross_entropy(logits: tf.Tensor, offset: TensorLike) -> tf.Tensor:
    mine = tf.range(tf.shape(logits)[0]) + tf.cast(offset, tf.int32)
    # Not TensorFlow's own kernel, which refuses a batch without examples.
    return tf.reduce_logsumexp(logits, 1) - tf.gather(logits, mine, axis=1, batch_dims=1)
