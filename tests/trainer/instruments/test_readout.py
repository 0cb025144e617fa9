"""Readout: every number is found again where it was put."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from trainer.instruments import Instrument
from trainer.instruments.readout import Readout


@dataclasses.dataclass(frozen=True)
class Shapes(Instrument):
    size: int = 2

    def __call__(self, seen):
        return {f"sum/{self.size}": tf.reduce_sum(seen.after[0]), "ones": tf.ones([self.size, 3])}


def test_packs_and_splits():
    one, two = Shapes(), Shapes(size=4)
    readout = Readout([one, two], lambda variable: "w")
    w = tf.Variable([1.0, 2.0])
    readout.begin()
    before = readout.before([w])
    w.assign([3.0, 4.0])
    readout.after("", [w], [None], before)
    row = readout.row().numpy()
    assert row.shape == (1 + 6 + 1 + 12,)
    found = readout.split(np.stack([row, 2 * row]))
    np.testing.assert_array_equal(found[one]["sum/2"], [7.0, 14.0])
    np.testing.assert_array_equal(found[two]["ones"], np.ones([2, 4, 3]) * [[[1]], [[2]]])
    np.testing.assert_array_equal(before[0], [1.0, 2.0])  # no later update changes it


@dataclasses.dataclass(frozen=True)
class Loose(Instrument):
    def __call__(self, seen):
        return {"x": tf.boolean_mask(seen.after[0], seen.after[0] > 0)}


def test_refuses_shapes_that_are_not_known():
    readout = Readout([Loose()], lambda variable: "w")

    @tf.function
    def step(w):
        readout.begin()
        readout.after("", [w], [None], [w])

    w = tf.Variable([1.0])
    with pytest.raises(ValueError, match=r"Loose read 'x' of shape .*must be known"):
        step(w)
