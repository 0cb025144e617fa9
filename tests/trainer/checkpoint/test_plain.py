"""Nests of plain values come apart and together again unchanged; others are refused by place."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.checkpoint import plain

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    LEAVES,
    lambda part: (
        st.lists(part)
        | st.tuples(part, part)
        | st.dictionaries(st.text().filter(lambda key: key != "$"), part)
    ),
)


@given(TREES)
def test_round_trip(tree):
    packed, arrays = plain.pack(tree, "run")
    assert plain.unpack(json.loads(json.dumps(packed)), arrays) == tree
    assert arrays == {}


def test_arrays_stand_beside_the_tree():
    tree = {"a": [np.arange(3), {"b": tf.constant([1.5], tf.bfloat16)}], "c": (np.float64("nan"),)}
    packed, arrays = plain.pack(tree, "run")
    assert sorted(arrays) == sorted(plain.paths(packed)) == ["run/a/0", "run/a/1/b"]
    back = plain.unpack(packed, {path: np.asarray(value) for path, value in arrays.items()})
    np.testing.assert_array_equal(back["a"][0], np.arange(3))
    assert back["a"][1]["b"].dtype == tf.bfloat16.as_numpy_dtype
    assert isinstance(back["c"], tuple)
    assert math.isnan(back["c"][0])
    assert type(plain.pack({"n": np.int64(3)}, "run")[0]["n"]) is int


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"a": [1, {2}]}, r"run/a/1 is a set"),
        ({"a": {3: 1}}, r"run/a has the key 3"),
        ({"$": 1}, r"run has the key '\$'"),
        ({"fn": len}, r"run/fn is a builtin"),
    ],
)
def test_what_is_not_plain_is_refused_by_its_place(tree, place):
    with pytest.raises(TypeError, match=place):
        plain.pack(tree, "run")
