"""Matching by name, shape and dtype, and the text that tells a person what to do about it."""

import time

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.match import MismatchError, match

F = "float32"


def told(have, want, **how):
    with pytest.raises(MismatchError) as caught:
        match(have, want, where="w.npz", **how)
    return str(caught.value), caught.value


NAMES = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map("/".join)
SPECS = st.tuples(st.lists(st.integers(0, 3), max_size=2).map(tuple), st.sampled_from([F, "int64"]))
TREES = st.dictionaries(NAMES, SPECS, max_size=6)


@given(TREES, TREES)
def test_what_differs_is_named_once_and_only_what_is_equal_passes(have, want):
    try:
        pairs = match(have, want).pairs
    except MismatchError as error:
        assert error.missing == [n for n in want if n not in have]
        assert error.unexpected == [n for n in have if n not in want]
        both = [n for n in want if n in have]
        assert error.mismatched == [n for n in both if have[n] != want[n]]
        assert error.missing or error.unexpected or error.mismatched
    else:
        assert have == want
        assert pairs == tuple((n, n) for n in want)


@given(TREES, TREES)
def test_partial_wants_all_that_matches_and_nothing_else(have, want):
    wanted = [n for n in want if n.startswith("a")]
    there = all(have.get(n) == want[n] for n in wanted)
    try:
        assert match(have, want, "^a").pairs == tuple((n, n) for n in wanted)
    except MismatchError:
        assert not wanted or not there
    else:
        assert wanted and there


def test_shapes_and_dtypes_of_every_kind_are_understood():
    variable = tf.Variable(tf.zeros([2, 3], tf.bfloat16))
    array = np.zeros([2, 3], tf.bfloat16.as_numpy_dtype)
    match({"w": (array.shape, array.dtype)}, {"w": (variable.shape, variable.dtype)})
    match({"w": ([2, 3], "bfloat16")}, {"w": (variable.shape, variable.dtype)})


def test_three_names():
    have = {"w": ([3, 4], F), "b": ([4], F), "step": ([], "int64")}
    want = {"w": ([3, 5], F), "bias": ([4], F), "step": ([], "int64")}
    text, _ = told(have, want, hint="Nothing was loaded.")
    assert text.splitlines() == [
        "w.npz does not fit: it has 1 of the program's 3 variables.",
        "  1 of another shape or dtype:",
        "    w  [3, 4] float32 in w.npz, [3, 5] float32 in the program",
        "  1 missing from w.npz:",
        "    bias  [4] float32; is it b?",
        "  1 only in w.npz:",
        "    b  [4] float32",
        "Nothing was loaded.",
    ]


def blocks(n, at=""):
    """The names of a stack of attention blocks, 8 for each."""
    parts = [(p, n) for p in ("query", "key", "value", "output") for n in ("kernel", "bias")]
    return {
        f"{at}encoder/{i}/attention/{p}_{kind}": ([8, 4] if kind == "kernel" else [4], F)
        for i in range(n)
        for p, kind in parts
    }


@pytest.mark.parametrize("n", [2, 4, 375])
@pytest.mark.parametrize(
    ("rename", "said"),
    [
        (lambda n: f"model/{n}", '"model/" dropped from the head of the names in w.npz'),
        (lambda n: n.removeprefix("encoder/"), '"encoder/" put before the names in w.npz'),
        (
            lambda n: n.replace("encoder/", "net/trunk/"),
            '"net/trunk/" renamed to "encoder/" at the head of the names in w.npz',
        ),
        (
            lambda n: n.replace("attention/", "mha/"),
            '"mha/" renamed to "attention/" inside the names in w.npz',
        ),
    ],
)
def test_one_changed_path_is_found_and_said_in_place_of_a_table(n, rename, said):
    want = blocks(n)
    text, error = told({rename(name): spec for name, spec in want.items()}, want)
    assert text.splitlines()[1:] == [f"  {said} makes {8 * n} more fit."]
    assert error.missing == list(want) and len(error.unexpected) == 8 * n


def test_several_changes_and_what_they_do_not_explain():
    want = {**blocks(3), **{f"head/{k}": ([2], F) for k in "ab"}, "scale": ([7], F)}
    have = {f"gen/{n}": s for n, s in blocks(3).items()}
    have |= {"top/a": ([2], F), "top/b": ([2], F), "scales": ([7], F)}
    text, _ = told(have, want)
    assert text.splitlines()[1:] == [
        '  "gen/" dropped from the head of the names in w.npz makes 24 more fit.',
        '  "top/" renamed to "head/" at the head of the names in w.npz makes 2 more fit.',
        "  1 missing from w.npz:",
        "    scale  [7] float32; is it scales?",
        "  1 only in w.npz:",
        "    scales  [7] float32",
    ]


@pytest.mark.parametrize("n", [3, 30, 3000])
def test_the_text_is_short_and_quick_however_many_names_there_are(n):
    """Nothing fits, with every kind of trouble, and names that are long or not printable."""
    rng = np.random.default_rng(0)
    have = {f"{'x' * rng.integers(1, 300)}/{i}\n": ([i % 5], F) for i in range(n)}
    want = {f"{'y' * rng.integers(1, 300)}/{i}\n": ([i % 5], F) for i in range(n)}
    have |= {f"both/{i}": ([2], F) for i in range(n)}
    want |= {f"both/{i}": ([3], F) for i in range(n)}
    begun = time.perf_counter()
    text, error = told(have, want)
    assert time.perf_counter() - begun < 2
    assert len(error.missing) == len(error.unexpected) == len(error.mismatched) == n
    lines = text.splitlines()
    assert len(lines) <= 34
    assert max(map(len, lines)) <= 200
    if n > 9:
        assert sum(line.startswith("    and ") for line in lines) == 3


def test_near_misses_come_first():
    have = blocks(2) | {"encoder/1/attention/query_kernal": ([8, 4], F)}
    del have["encoder/1/attention/query_kernel"]
    want = {f"new/{i}": ([5, i], F) for i in range(20)} | blocks(2)
    text, _ = told(have, want)
    first = text.splitlines()[2].split(None, 1)
    assert first == [
        "encoder/1/attention/query_kernel",
        "[8, 4] float32; is it encoder/1/attention/query_kernal?",
    ]


def test_partial_that_finds_nothing_shows_what_there_is():
    text, _ = told(blocks(1), blocks(1), partial="^decoder/")
    assert "'^decoder/' is found in none of the program's 8 names" in text
    assert "encoder/0/attention/query_kernel" in text
    text, _ = told(blocks(1), {}, partial="x")
    assert "is it built?" in text


def test_a_program_without_variables():
    assert "the program has no variables; is it built?" in told(blocks(1), {})[0]


@pytest.mark.parametrize("partial", ["(", 3])
def test_partial_that_is_no_expression(partial):
    with pytest.raises(ValueError, match="is not a regular expression"):
        match({}, {"w": ([], F)}, partial)
