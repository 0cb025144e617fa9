"""Losses of embeddings with class labels: near where labels are equal, far where they differ.

Every example is an anchor and is compared with the references: by default the batch itself. An
anchor's value needs others of its batch, so it changes with who stands beside it: in parts of a
batch (`accumulate`) it sees its part only. To compare with more, pass the others as
`ref_embeddings` and `ref_labels`, with `offset` saying where among them the anchors themselves
stand; then the values and gradients of the parts add up to those of the whole.
"""

from __future__ import annotations

import tensorflow as tf

from losses.base import Loss, TensorLike, as_tensor
from losses.scores import check_positive

_FAR = 1e30


def contrastive(y_true: TensorLike, y_pred: TensorLike, margin: float = 1.0) -> tf.Tensor:
    """`y d^2 + (1 - y) max(margin - d, 0)^2` of distances d: [b, ...] -> [b, ...].

    Hadsell et al. 2006.

    Args:
        y_true: 1 where a pair belongs together, 0 where not.
        y_pred: The distances of the pairs, of the same shape.
        margin: The distance from which on a pair that does not belong together costs nothing.
    """
    y_true, d = tf.cast(as_tensor(y_true), tf.float32), tf.cast(as_tensor(y_pred), tf.float32)
    if not y_true.shape.is_compatible_with(d.shape) or d.shape.rank == 0:
        raise ValueError(f"y_true has shape {y_true.shape} and y_pred {d.shape}; both are [b].")
    return y_true * tf.square(d) + (1.0 - y_true) * tf.square(tf.maximum(margin - d, 0.0))


def triplet_semihard(
    y_true: TensorLike,
    y_pred: TensorLike,
    margin: float = 1.0,
    ref_labels: TensorLike | None = None,
    ref_embeddings: TensorLike | None = None,
    offset: TensorLike = 0,
) -> tf.Tensor:
    """`max(d(a, p) - d(a, n) + margin, 0)`, the mean over each anchor's positives: [b, d] -> [b].

    Schroff et al. 2015: for each positive the nearest negative that is farther than it; where none
    is farther, the farthest. Distances are Euclidean. The mean over a batch weighs anchors alike,
    not pairs.

    Args:
        y_true: Class numbers [b].
        y_pred: Embeddings [b, d], commonly of length 1.
        margin: By how much a negative must be farther than a positive.
        ref_labels: Labels of the references [m]; the batch's own by default.
        ref_embeddings: References [m, d].
        offset: The row of the references at which the batch's own begin.

    Returns:
        One value per anchor; 0 for those without a positive or without a negative.
    """
    distances, positive, negative = compared(y_true, y_pred, ref_labels, ref_embeddings, offset)
    if distances.shape[1] == 0:
        return tf.reduce_sum(distances, 1)  # no example at all
    count = tf.math.count_nonzero(negative, 1, dtype=tf.int32)[:, tf.newaxis]  # [b, 1]
    ordered = tf.sort(tf.where(negative, distances, _FAR), 1)  # negatives first, by distance
    index = tf.searchsorted(tf.stop_gradient(ordered), tf.stop_gradient(distances), side="right")
    index = tf.maximum(tf.minimum(index, count - 1), 0)  # the farthest where none is farther
    farther = tf.gather(ordered, index, axis=1, batch_dims=1)
    return _mean_where(tf.maximum(distances - farther + margin, 0.0), positive)


def triplet_hard(
    y_true: TensorLike,
    y_pred: TensorLike,
    margin: float = 1.0,
    soft: bool = False,
    ref_labels: TensorLike | None = None,
    ref_embeddings: TensorLike | None = None,
    offset: TensorLike = 0,
) -> tf.Tensor:
    """`max(d(a, farthest positive) - d(a, nearest negative) + margin, 0)`: [b, d] -> [b].

    "Batch hard" of Hermans et al. 2017, with Euclidean distances.

    Args:
        y_true: Class numbers [b].
        y_pred: Embeddings [b, d].
        margin: By how much a negative must be farther.
        soft: Whether to take `log(1 + exp(.))` of the difference in place of the margin.
        ref_labels: As in `triplet_semihard`.
        ref_embeddings: As in `triplet_semihard`.
        offset: As in `triplet_semihard`.

    Returns:
        One value per anchor; 0 for those without a positive or without a negative.
    """
    distances, positive, negative = compared(y_true, y_pred, ref_labels, ref_embeddings, offset)
    farthest = tf.reduce_max(tf.where(positive, distances, -_FAR), 1)
    nearest = tf.reduce_min(tf.where(negative, distances, _FAR), 1)
    usable = tf.reduce_any(positive, 1) & tf.reduce_any(negative, 1)
    gap = tf.where(usable, farthest - nearest, 0.0)
    values = tf.math.softplus(gap) if soft else tf.maximum(gap + margin, 0.0)
    return tf.where(usable, values, 0.0)


def lifted_structure(
    y_true: TensorLike,
    y_pred: TensorLike,
    margin: float = 1.0,
    ref_labels: TensorLike | None = None,
    ref_embeddings: TensorLike | None = None,
    offset: TensorLike = 0,
) -> tf.Tensor:
    """`max(J, 0)^2 / 2`, the mean over each anchor's positives: [b, d] -> [b].

    Song et al. 2016: `J = d(a, p) + log(sum over negatives n of a of exp(margin - d(a, n)) + the
    same of p)`. The mean over a batch weighs anchors alike, not pairs.

    Args:
        y_true: Class numbers [b].
        y_pred: Embeddings [b, d].
        margin: The distance from which on a negative counts little.
        ref_labels: As in `triplet_semihard`.
        ref_embeddings: As in `triplet_semihard`.
        offset: As in `triplet_semihard`.

    Returns:
        One value per anchor; 0 for those without a positive or without a negative.
    """
    distances, positive, negative = compared(y_true, y_pred, ref_labels, ref_embeddings, offset)
    own = tf.reduce_logsumexp(tf.where(negative, margin - distances, -_FAR), 1)  # [b]
    if ref_embeddings is None:
        theirs = own
    else:
        all_labels, all_rows = as_tensor(ref_labels), as_tensor(ref_embeddings)
        between, _, apart = compared(all_labels, all_rows, None, None, 0)
        theirs = tf.reduce_logsumexp(tf.where(apart, margin - between, -_FAR), 1)  # [m]
    # log(exp(own) + exp(theirs)), safe at any size.
    gap = own[:, tf.newaxis] - theirs[tf.newaxis]
    both = theirs[tf.newaxis] + tf.math.softplus(gap)
    return _mean_where(0.5 * tf.square(tf.maximum(both + distances, 0.0)), positive)


def circle(
    y_true: TensorLike,
    y_pred: TensorLike,
    ref_labels: TensorLike | None = None,
    ref_embeddings: TensorLike | None = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
    offset: TensorLike = 0,
) -> tf.Tensor:
    """Circle loss of embeddings of length 1 (Sun et al. 2020): [b, d] -> [b].

    With d = 1 - cosine: `softplus(logsumexp_p(gamma (margin + d)(d - margin)) +
    logsumexp_n(gamma max(1 + margin - d, 0)(1 - margin - d)))`; no gradient is kept back from the
    weights, as in Keras.

    Args:
        y_true: Class numbers [b].
        y_pred: Embeddings [b, d] of length 1.
        ref_labels: Labels of the references [m]; the batch's own by default.
        ref_embeddings: References [m, d].
        remove_diagonal: Whether an anchor is no positive of itself.
        gamma: Scale of the similarities.
        margin: How much similarities may relax.
        offset: The row of the references at which the batch's own begin.

    Returns:
        One value per anchor; 0 for those without a positive or without a negative.
    """
    y_pred, references, positive, negative = _pairs(
        y_true, y_pred, ref_labels, ref_embeddings, offset if remove_diagonal else None
    )
    d = tf.maximum(1.0 - tf.matmul(y_pred, references, transpose_b=True), 0.0)
    near = gamma * (margin + d) * (d - margin)
    far = gamma * tf.maximum(1.0 + margin - d, 0.0) * (1.0 - margin - d)
    total = tf.reduce_logsumexp(tf.where(positive, near, -_FAR), 1) + tf.reduce_logsumexp(
        tf.where(negative, far, -_FAR), 1
    )
    return tf.math.softplus(total)


def n_pairs(
    y_true: TensorLike, y_pred: TensorLike, ref_labels: TensorLike | None = None
) -> tf.Tensor:
    """Cross-entropy of similarities against equality of labels: [b, m] -> [b].

    Sohn 2016: row i holds the similarities of anchor i and every reference; those of its class
    share the target.

    Args:
        y_true: Class numbers of the anchors, [b].
        y_pred: Similarities [b, m], such as `anchors @ transpose(references)`.
        ref_labels: Class numbers of the references, [m]; those of the anchors by default.

    Returns:
        One value per anchor; 0 where no reference is of its class.
    """
    scores = tf.cast(as_tensor(y_pred), tf.float32)
    labels = _labels(y_true)
    others = labels if ref_labels is None else _labels(ref_labels)
    wanted = [labels.shape[0], others.shape[0]]
    if scores.shape.rank != 2 or not scores.shape.is_compatible_with(wanted):
        raise ValueError(
            f"y_pred has shape {scores.shape}; it holds the similarity of each of {wanted[0]} "
            f"anchors and each of {wanted[1]} references: {wanted}."
        )
    same = tf.cast(labels[:, tf.newaxis] == others[tf.newaxis], tf.float32)
    target = tf.math.divide_no_nan(same, tf.reduce_sum(same, 1, keepdims=True))
    return -tf.reduce_sum(target * tf.nn.log_softmax(scores), 1)


class Contrastive(Loss):
    """See `contrastive`.

    Args:
        margin: Above 0.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        margin: float = 1.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "contrastive",
    ):
        super().__init__(name=name, reduction=reduction)
        self.margin = check_positive("margin", margin)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """[b, ...] -> [b, ...]."""
        return contrastive(y_true, y_pred, self.margin)


class EmbeddingLoss(Loss):
    """What losses of embeddings share: anchors that nothing can be compared with do not count."""

    compares_rows = True

    def mask(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor | None:
        """True for anchors that have a positive and a negative in the batch, [b]."""
        _, _, positive, negative = _pairs(y_true, y_pred, None, None, 0)
        return tf.reduce_any(positive, 1) & tf.reduce_any(negative, 1)


class TripletSemiHard(EmbeddingLoss):
    """See `triplet_semihard`.

    Args:
        margin: By how much a negative must be farther.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        margin: float = 1.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "triplet_semihard",
    ):
        super().__init__(name=name, reduction=reduction)
        self.margin = check_positive("margin", margin)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """Labels [b] and embeddings [b, d] -> [b]."""
        return triplet_semihard(y_true, y_pred, self.margin)


class TripletHard(EmbeddingLoss):
    """See `triplet_hard`.

    Args:
        margin: By how much a negative must be farther.
        soft: Whether to take the soft margin.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        margin: float = 1.0,
        soft: bool = False,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "triplet_hard",
    ):
        super().__init__(name=name, reduction=reduction)
        self.margin = check_positive("margin", margin)
        self.soft = soft

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """Labels [b] and embeddings [b, d] -> [b]."""
        return triplet_hard(y_true, y_pred, self.margin, self.soft)


class LiftedStructure(EmbeddingLoss):
    """See `lifted_structure`.

    Args:
        margin: The distance from which on a negative counts little.
        reduction: See `Loss`.
        name: Name in logs.
    """

    def __init__(
        self,
        margin: float = 1.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "lifted_structure",
    ):
        super().__init__(name=name, reduction=reduction)
        self.margin = check_positive("margin", margin)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """Labels [b] and embeddings [b, d] -> [b]."""
        return lifted_structure(y_true, y_pred, self.margin)


class Circle(Loss):
    """See `circle`.

    Args:
        gamma: Scale of the similarities.
        margin: How much similarities may relax.
        remove_diagonal: Whether an anchor is no positive of itself.
        reduction: See `Loss`.
        name: Name in logs.
    """

    compares_rows = True

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
    ):
        super().__init__(name=name, reduction=reduction)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """Labels [b] and embeddings [b, d] -> [b]."""
        return circle(
            y_true,
            y_pred,
            remove_diagonal=self.remove_diagonal,
            gamma=self.gamma,
            margin=self.margin,
        )

    def mask(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor | None:
        """True where the value is above 0, as in Keras: solved anchors leave the mean, [b]."""
        return self.call(y_true, y_pred) > 0.0


class NPairs(Loss):
    """See `n_pairs`.

    Args:
        reduction: See `Loss`.
        name: Name in logs.
    """

    compares_rows = True

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "n_pairs"):
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        """Labels [b] and similarities [b, b] -> [b]."""
        return n_pairs(y_true, y_pred)


def compared(
    labels: TensorLike,
    embeddings: TensorLike,
    ref_labels: TensorLike | None,
    ref_embeddings: TensorLike | None,
    offset: TensorLike,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Euclidean distances, who is a positive and who a negative of whom: [b, m] each."""
    a, b, positive, negative = _pairs(labels, embeddings, ref_labels, ref_embeddings, offset)
    # In float64: of near neighbours the difference of the squares leaves few digits.
    a, b = tf.cast(a, tf.float64), tf.cast(b, tf.float64)
    square = (
        tf.reduce_sum(tf.square(a), 1)[:, tf.newaxis]
        + tf.reduce_sum(tf.square(b), 1)[tf.newaxis]
        - 2.0 * tf.matmul(a, b, transpose_b=True)
    )
    # The root has no gradient at 0: the second tf.where keeps an infinite one out.
    apart = square > 1e-12
    distances = tf.where(apart, tf.sqrt(tf.where(apart, square, 1.0)), 0.0)
    return tf.cast(distances, tf.float32), positive, negative


def _pairs(
    labels: TensorLike,
    embeddings: TensorLike,
    ref_labels: TensorLike | None,
    ref_embeddings: TensorLike | None,
    offset: TensorLike | None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Both sides' embeddings, and which pairs are positive and negative: [b, m]."""
    if (ref_labels is None) != (ref_embeddings is None):
        raise ValueError("ref_labels and ref_embeddings belong together: pass both or neither.")
    a, own = tf.cast(as_tensor(embeddings), tf.float32), _labels(labels)
    if a.shape.rank != 2 or not own.shape.is_compatible_with(a.shape[:1]):
        raise ValueError(
            f"y_true has shape {own.shape} and y_pred {a.shape}; they must be class numbers [b] "
            "and embeddings [b, d]."
        )
    b = a if ref_embeddings is None else tf.cast(as_tensor(ref_embeddings), tf.float32)
    others = own if ref_labels is None else _labels(ref_labels)
    same = own[:, tf.newaxis] == others[tf.newaxis]
    if offset is None:
        return a, b, same, ~same
    mine = tf.range(tf.shape(a)[0]) + tf.cast(offset, tf.int32)
    itself = mine[:, tf.newaxis] == tf.range(tf.shape(b)[0])[tf.newaxis]
    return a, b, same & ~itself, ~same


def _labels(labels: TensorLike) -> tf.Tensor:
    labels = as_tensor(labels)
    if labels.shape.rank == 2 and labels.shape[-1] == 1:
        labels = tf.squeeze(labels, -1)
    return labels if labels.dtype.is_integer else tf.cast(labels, tf.int64)


def _mean_where(values: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
    total = tf.reduce_sum(tf.where(kept, values, 0.0), 1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(kept, tf.float32), 1))
