"""Streams of any length that nobody keeps: the rows of the data, again and again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from benchmarks.data import Data

DATASET, GENERATOR = "dataset", "generator"


def dataset(data: Data, batch_size: int, batches: int) -> tf.data.Dataset:
    """So many whole batches as a `tf.data.Dataset`."""
    rows = tf.data.Dataset.from_tensor_slices((data.x_train, data.y_train))
    return rows.repeat().batch(batch_size).take(batches)


def generator(data: Data, batch_size: int, batches: int | None) -> Callable[[], Iterator[Any]]:
    """A function whose generators give so many whole batches, slices of the arrays; None: no end.

    The data must have a whole number of batches.
    """
    x, y = data.x_train, data.y_train
    assert y is not None  # streams are of pairs
    within = len(x) // batch_size

    def made() -> Iterator[Any]:
        for number in itertools.count() if batches is None else range(batches):
            begin = number % within * batch_size
            part = slice(begin, begin + batch_size)
            yield x[part], y[part]

    return made
