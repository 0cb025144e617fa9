"""The guard counts programs, says what made them differ, and raises where it is strict."""

import pytest
import tensorflow as tf

from trainer.compiling.guard import Guard, RecompileError, difference, signature_of


def _args(length, rows=8):
    return (tf.TensorSpec([512, rows, length], tf.int32), tf.TensorSpec([], tf.int32))


@pytest.fixture
def said():
    return []


def test_it_counts_and_is_silent_within_its_limit(said):
    guard = Guard(3, False, said.append)
    for length in (5, 6, 7):
        guard.traced("train", "loop", 8, _args(length), 0.5)
        guard.ran("train", "loop", 8, _args(length), 2.0)
    guard.traced("evaluate", "loop", 8, _args(5), 0.5)
    assert said == []
    table = guard.table().splitlines()
    assert len(table) == 5
    assert "first call 2.00 s" in table[0] and "data[0] int32[512, 8, 5]" in table[0]
    assert "not run" in table[3]
    assert table[4].startswith("4 programs traced, 3 of them run in XLA's modes, which compile")
    assert "inferred" in table[4]


def test_over_the_limit_it_says_what_changed_once(said):
    guard = Guard(2, False, said.append)
    for length in (5, 6, 7, 8):
        guard.traced("train", "loop", 8, _args(length), 0.5)
    assert len(said) == 1
    assert "train was traced and compiled by XLA 3 times, and the limit is 2" in said[0]
    assert "data[0] int32[512, 8, 6] before, int32[512, 8, 7] now" in said[0]


def test_strict_raises(said):
    guard = Guard(1, True, said.append)
    guard.traced("train", "graph", 8, _args(5), 0.5)
    with pytest.raises(RecompileError, match="train was traced 2 times"):
        guard.traced("train", "graph", 8, _args(6), 0.5)
    with pytest.raises(RecompileError, match="x, or use"):
        guard.by_value("train", "x")


def test_the_difference_is_to_the_nearest():
    guard = Guard(9, False, print)
    guard.traced("train", "graph", 4, _args(9, 4), 0.0)
    guard.traced("train", "graph", 8, _args(9), 0.0)
    guard.traced("train", "graph", 8, _args(5), 0.0)
    *before, new = guard.programs
    assert difference(before, new) == "data[0] int32[512, 8, 9] before, int32[512, 8, 5] now"
    assert "nothing in its shapes" in difference([new], new)


def test_signatures_name_what_the_data_is():
    given = {"x": tf.ones([2, 3]), "y": tf.TensorSpec([None], tf.int64)}
    assert signature_of(given) == {"data['x']": "float32[2, 3]", "data['y']": "int64[?]"}
