"""Seeds as pure functions of (seed, step, replica, part, call): the same again when resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

_MIX = 0x9E3779B1  # 2**32 over the golden ratio: neighbouring calls land far apart


def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of `n` rows in an epoch: int32 `[n]`, another for each (seed, epoch)."""
    key = np.array([seed % 2**64, epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n).astype(np.int32)


def fold(seed: int, call: int) -> int:
    """Mixes a call's number into a seed: an int32."""
    mixed = (seed * _MIX + (call + 1) * 0x85EBCA6B) & 0xFFFFFFFF
    mixed ^= mixed >> 15
    mixed = (mixed * 0x2C1B3C6D) & 0xFFFFFFFF
    mixed ^= mixed >> 12
    return mixed - 2**32 if mixed >= 2**31 else mixed


class Seeds:
    """A source of int32 `[2]` seeds: each `next()` of one trace gets a number of its own.

    Args:
        seed: the run's seed.
        step: the step (scalar tensor or int): the second word of each seed.
        replica: the replica's number; replica 0 draws as one device does.
    """

    def __init__(self, seed: int, step: Any, replica: Any = 0) -> None:
        self.step = step
        self._seed = seed
        self._replica = replica
        self._part: Any = None
        self._calls = 0
        self._most_calls = 0
        self.rows: Any = None  # int32 [b]: numbers of the rows at hand, if each gets its own seed

    def for_layers(self) -> tf.Tensor:
        """A fresh seed as random layers draw from: as `next`, or `[b, 2]` by the row's number.

        A seed of a row depends neither on the replica that has it nor on its part.
        """
        if self.rows is None:
            return self.next()
        word = tf.constant(fold(self._seed, self._calls), tf.int32)
        self._calls += 1
        own = tf.bitwise.bitwise_xor(word, self.rows * 0x165667B1)
        return tf.stack([own, tf.fill(tf.shape(own), tf.cast(self.step, tf.int32))], 1)

    def next(self) -> tf.Tensor:
        """A fresh seed, int32 `[2]`."""
        word = tf.constant(fold(self._seed, self._calls), tf.int32)
        self._calls += 1
        if not (isinstance(self._replica, int) and self._replica == 0):
            word = tf.bitwise.bitwise_xor(word, tf.cast(self._replica, tf.int32) * 0x165667B1)
        if self._part is not None:
            word = tf.bitwise.bitwise_xor(word, tf.cast(self._part, tf.int32) * 0x27D4EB2F)
        return tf.stack([word, tf.cast(self.step, tf.int32)])

    @contextmanager
    def part(self, index: Any, rows: Any = None) -> Iterator[None]:
        """While open, seeds also depend on the micro-batch's index; part 0 draws as a whole batch.

        The calls of each part are numbered alike, because one traced body serves all of them;
        `parts_done` goes on after the numbers they used. `rows` are the numbers of the part's
        rows, of account where each row has a seed of its own.
        """
        before, whole = self._calls, self.rows
        self.rows = None if whole is None else rows
        self._part = None if isinstance(index, int) and index == 0 else index
        try:
            yield
        finally:
            self._part, self.rows = None, whole
            self._most_calls = max(self._most_calls, self._calls)
            self._calls = before

    def mark(self) -> int:
        """Where the numbering stands, for `rewind`."""
        return self._calls

    def rewind(self, mark: int) -> None:
        """Goes back to a mark: the same calls then draw the same seeds again."""
        self._calls = self._most_calls = mark

    def parts_done(self) -> None:
        """Ends the numbering of parts."""
        self._calls = max(self._most_calls, self._calls)


@contextmanager
def handed(modules: Any, source: Callable[[], tf.Tensor]) -> Iterator[None]:
    """While it is open, each module that has a `seed_source` draws from `source`."""
    takers = [m for m in modules if hasattr(m, "seed_source")]
    before = [m.seed_source for m in takers]
    for module in takers:
        module.seed_source = source
    try:
        yield
    finally:
        for module, old in zip(takers, before, strict=True):
            module.seed_source = old
