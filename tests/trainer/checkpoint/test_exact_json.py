"""JSON that gives back what was put in; the references: equality of bits, and the standard."""

import json
import math
import struct

import hypothesis
import pytest
from hypothesis import strategies as st

from trainer.checkpoint import exact_json

PAYLOAD = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_DEAD_BEEF))[0]


def there_and_back(tree):
    # `allow_nan=False` makes Python refuse whatever is not standard JSON.
    text = json.dumps(exact_json.encode(tree), allow_nan=False).encode()
    return exact_json.decode(exact_json.loads(text))


def bits(tree):
    """The tree with floats as their bits, as NaN equals nothing and 0.0 equals -0.0."""
    if isinstance(tree, float):
        return struct.pack("<d", tree)
    if isinstance(tree, list):
        return [bits(item) for item in tree]
    if isinstance(tree, dict):
        return {key: bits(item) for key, item in tree.items()}
    return (type(tree), tree)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
TREES = st.recursive(
    LEAVES | st.sampled_from([PAYLOAD, "$float", -0.0]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["$", "$$", "$float"]), inner)
    ),
    max_leaves=10,
)


@hypothesis.given(TREES)
@hypothesis.settings(max_examples=200)
def test_a_tree_comes_back_bit_for_bit(tree):
    assert bits(there_and_back(tree)) == bits(tree)


@pytest.mark.parametrize("special", [math.inf, -math.inf, math.nan, PAYLOAD, -0.0, 5e-324, 2**70])
def test_special_numbers_come_back(special):
    assert bits(there_and_back({"x": [special]})) == bits({"x": [special]})


def test_order_of_keys_is_kept_and_tuples_become_lists():
    assert list(there_and_back({"b": 1, "a": 2})) == ["b", "a"]
    assert there_and_back({"a": (1, (2,))}) == {"a": [1, [2]]}


@pytest.mark.parametrize("bad", [b"bytes", {1}, object(), 1j])
def test_what_json_cannot_hold_is_refused_by_its_path(bad):
    with pytest.raises(TypeError, match=r"plain\['a'\]\[1\] is a .*Convert it first"):
        exact_json.encode({"a": [0, bad]}, "plain")


def test_keys_must_be_strings():
    with pytest.raises(TypeError, match="has the key 3; keys must be strings"):
        exact_json.encode({"a": {3: 0}}, "plain")


def test_the_depth_that_may_be_written_can_be_read_and_no_more():
    def nest(levels):
        tree = math.nan
        for _ in range(levels):
            tree = [tree]
        return tree

    deepest = nest(exact_json.DEPTH)
    assert bits(there_and_back(deepest)) == bits(deepest)
    with pytest.raises(ValueError, match="nests deeper than 64 levels, or holds itself"):
        exact_json.encode(nest(exact_json.DEPTH + 1))
    knot = {}
    knot["x"] = knot
    with pytest.raises(ValueError, match="holds itself"):
        exact_json.encode(knot)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000, "nests deeper"),
        (b"[" * 100 + b"]" * 100, "nests deeper"),
        (b'{"a":' * 100_000, "nests deeper"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
        (b"[NaN]", "NaN is not standard JSON"),
        (b"[-Infinity]", "-Infinity is not standard JSON"),
        (b"[1e999]", "too large"),
        (b"1" * 100_000, "integer string conversion"),
        (b"\xff", "decode"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b"\xef\xbb\xbf{}", "BOM"),
    ],
)
def test_what_is_not_strict_json_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        exact_json.loads(text)


@pytest.mark.parametrize(
    "tree",
    [
        {"$float": "NaN"},
        {"$float": "nan:7ff0000000000000"},  # the bits of an infinity
        {"$float": "nan:fff8"},
        {"$float": 1.0},
        {"$float": "inf", "x": 1},
        {"$other": 1},
    ],
)
def test_what_was_never_encoded_is_refused(tree):
    with pytest.raises(ValueError, match=r"is no float|unknown key"):
        exact_json.decode({"a": [tree]})
