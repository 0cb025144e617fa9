"""class_weight: weights by class, turned into weights by example on the host."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import tensorflow as tf


class ClassWeight:
    """A table of weights by class.

    Args:
        class_weight: dict of class (a whole number, at least 0) to weight.

    Raises:
        TypeError: it is no dict, or a key or weight is no number.
        ValueError: it is empty, a class is negative, or a weight NaN.
    """

    def __init__(self, class_weight: Any) -> None:
        if not isinstance(class_weight, Mapping):
            raise TypeError(
                f"class_weight is a {type(class_weight).__name__}; a dict of class to weight is "
                "allowed, such as {0: 1.0, 1: 5.0}."
            )
        if not class_weight:
            raise ValueError("class_weight is empty; give each class a weight, or pass None.")
        for key, weight in class_weight.items():
            number = isinstance(key, Real) and not isinstance(key, bool)
            if not number or int(key) != key or key < 0:  # type: ignore[call-overload]
                raise ValueError(
                    f"class_weight has the class {key!r}; classes are whole numbers from 0 on. Map "
                    "names to the integers that y holds."
                )
            if not isinstance(weight, Real) or np.isnan(float(weight)):
                raise ValueError(
                    f"class_weight[{key!r}] is {weight!r}; weights are numbers, such as 1.0."
                )
        self._classes = np.array(sorted(int(key) for key in class_weight), np.int64)
        self._weights = np.array([class_weight[key] for key in sorted(class_weight)], np.float32)

    def apply(self, y: Any, sample_weight: Any, axes: int = 1) -> np.ndarray:
        """Weights of examples: those of their classes, times those they had.

        Args:
            y: labels `[b]`, `[b, 1]` or one-hot `[b, k]`, after `axes - 1` further leading axes.
            sample_weight: None or an array that starts with the same axes.
            axes: leading axes that count examples.

        Raises:
            ValueError: y is a nest, has more axes, or holds a class that has no weight.
        """
        by_class = self._look_up(_classes_of(y, axes))
        if sample_weight is None:
            return by_class
        if isinstance(sample_weight, Mapping | tuple | list):
            raise ValueError(
                "class_weight needs a single array of sample_weight, and it is a "
                f"{type(sample_weight).__name__}; multiply the class weights in yourself."
            )
        weights = np.asarray(sample_weight, np.float32)
        return weights * by_class.reshape(by_class.shape + (1,) * (weights.ndim - axes))

    def table(self) -> dict[str, float]:
        """The weights by class, as JSON."""
        pairs = zip(self._classes.tolist(), self._weights.tolist(), strict=True)
        return {str(number): weight for number, weight in pairs}

    def _look_up(self, labels: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(self._classes, labels), len(self._classes) - 1)
        known = self._classes[at] == labels
        if not known.all():
            raise ValueError(
                f"class_weight has no weight for class {labels[~known][0]}, which y holds; it has "
                f"{_listed(self._classes)}. Give every class a weight (1.0 to leave it as it is)."
            )
        return self._weights[at]


def _classes_of(y: Any, axes: int) -> np.ndarray:
    if isinstance(y, Mapping | tuple | list):
        raise ValueError(
            f"class_weight works for one target, and y is a {type(y).__name__} of "
            f"{len(tf.nest.flatten(y))}; pass sample_weight for each target in its place."
        )
    labels = np.asarray(y)
    if labels.ndim > axes + 1:
        raise ValueError(
            "class_weight works for labels [b], [b, 1] or one-hot [b, k], and an example of y has "
            f"the shape {labels.shape[axes:]}; pass sample_weight of that shape in its place."
        )
    if labels.ndim == axes + 1:
        return labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(-1)
    return labels


def _listed(classes: np.ndarray) -> str:
    shown = ", ".join(str(c) for c in classes[:10])
    return shown if len(classes) <= 10 else f"{shown}, ... ({len(classes)} classes)"
