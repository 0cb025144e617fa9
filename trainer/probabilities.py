"""Whether a model gives what its loss and metrics take: probabilities, or logits.

Looked at once, on the host, on the output for a few examples before training: costs nothing per
step, and sees the usual mistake (no activation, or one too many) whatever the weights are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from absl import logging

_SLACK = 1e-3  # what rounding in half precision may add


def check_loss(loss: Any, y_pred: Any, output: str = "") -> None:
    """Refuses logits for a loss of probabilities; warns of what looks wrong.

    Args:
        loss: any; looked at if it has `from_logits`, as cross-entropies do.
        y_pred: an eager output of the model, `[b, ..., k]`.
        output: its name, "" when it is the only one.

    Raises:
        ValueError: the loss takes probabilities and a number is outside [0, 1].
    """
    from_logits = getattr(loss, "from_logits", None)
    values = _numbers(y_pred)
    if from_logits is None or values is None:
        return
    name = str(getattr(loss, "name", None) or type(loss).__name__)
    where = f"the output {output!r}" if output else "the model's output"
    axis = getattr(loss, "axis", -1)
    several = "binary" not in name.lower() and values.ndim > 1
    sums = values.sum(axis) if several else np.ones(1)
    whole = bool(np.all(np.abs(sums - 1.0) <= 10 * _SLACK))
    if not from_logits and _outside(values):
        raise ValueError(
            f"loss {name!r} takes probabilities, but {where} is from {values.min():.4g} to "
            f"{values.max():.4g} for the first examples: these look like logits. Pass "
            f"from_logits=True to the loss (loss={type(loss).__name__}(from_logits=True) in place "
            "of its name), or end the model in a softmax or sigmoid."
        )
    if not from_logits and not whole:
        logging.warning(
            "loss %r takes probabilities over classes, but %s adds up to %.4g: end the model in a "
            "softmax, or pass from_logits=True; for several yes and no use binary_crossentropy.",
            name,
            where,
            float(sums.reshape(-1)[np.argmax(np.abs(sums - 1.0))]),
        )
    if from_logits and several and values.shape[axis] > 1 and whole and values.min() >= 0.0:
        logging.warning(
            "loss %r takes logits (from_logits=True), but %s is not negative and adds up to 1, "
            "like the output of a softmax: drop that activation, or pass from_logits=False.",
            name,
            where,
        )


def check_metric(metric: Any, y_pred: Any) -> None:
    """Warns of logits for a metric of probabilities.

    Args:
        metric: a `Metric`; looked at if its `probabilities` is true.
        y_pred: an eager output of the model.
    """
    values = _numbers(y_pred)
    if metric.probabilities and values is not None and _outside(values):
        logging.warning(
            "metric %r takes probabilities, but the model's output is from %.4g to %.4g for the "
            "first examples: these look like logits. Pass from_logits=True to the metric if it has "
            "it, a threshold on the scale of the logits, or end the model in a sigmoid or softmax.",
            metric.name,
            values.min(),
            values.max(),
        )


def _outside(values: np.ndarray) -> bool:
    return bool(values.min() < -_SLACK or values.max() > 1.0 + _SLACK)


def _numbers(y_pred: Any) -> np.ndarray | None:
    """The output as float32, None where there is nothing to look at."""
    if not hasattr(y_pred, "numpy"):
        return None  # not eager, or a structure of its own
    values = np.asarray(y_pred.numpy(), np.float32)
    return values if values.size and np.isfinite(values).all() else None
