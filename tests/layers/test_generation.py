"""Cached generation against recomputing the whole sequence for every token."""

from __future__ import annotations

import numpy as np
import pytest

import layers as L

PROMPT = np.array([[1, 4, 2], [5, 3, 3]])


@pytest.fixture(scope="module")
def model():
    blocks = [L.TransformerBlock(2, 12, causal=True, kernel_initializer="he_normal")]
    made = L.CausalTransformer(9, 8, blocks=blocks, positions=L.PositionEmbedding(12))
    made(PROMPT)
    return made


@pytest.mark.parametrize("jit", [False, True])
def test_the_likeliest_tokens_are_those_of_recomputing(model, jit):
    want = PROMPT
    for _ in range(6):
        likeliest = np.argmax(model(want)[:, -1], -1)
        want = np.concatenate([want, likeliest[:, None]], 1)
    generator = L.Generator(model, 12, jit_compile=jit)
    np.testing.assert_array_equal(generator(PROMPT, 6), want)
    np.testing.assert_array_equal(generator(PROMPT, 2), want[:, :5])
    np.testing.assert_array_equal(generator(PROMPT, 0), PROMPT)


def test_draws_depend_on_the_seed_alone_and_come_from_the_top(model):
    drawn = L.Generator(model, 12, temperature=2.0)
    np.testing.assert_array_equal(drawn(PROMPT, 9, seed=[1, 2]), drawn(PROMPT, 9, seed=[1, 2]))
    assert (drawn(PROMPT, 9, seed=[1, 2]) != drawn(PROMPT, 9, seed=[1, 3])).numpy().any()
    top = L.Generator(model, 12, temperature=2.0, top_k=1)
    np.testing.assert_array_equal(top(PROMPT, 9), L.Generator(model, 12)(PROMPT, 9))


def test_a_low_temperature_takes_the_likeliest(model):
    cold = L.Generator(model, 12, temperature=1e-4)
    np.testing.assert_array_equal(cold(PROMPT, 9), L.Generator(model, 12)(PROMPT, 9))


def test_the_stop_token_ends_a_sequence_and_all_of_them_the_loop(model):
    free = L.Generator(model, 12)(PROMPT, 9).numpy()
    stop = int(free[0, 4])
    got = L.Generator(model, 12, stop_token=stop)(PROMPT, 9).numpy()
    for row, full in zip(got, free, strict=True):
        first = np.argmax(full[3:] == stop) + 3 if stop in full[3:] else len(full) - 1
        np.testing.assert_array_equal(row[: first + 1], full[: len(row)][: first + 1])
        assert (row[first + 1 :] == stop).all()
    assert got.shape[1] <= free.shape[1]


def test_what_is_refused(model):
    generator = L.Generator(model, 12)
    with pytest.raises(ValueError, match="steps must be 0 to 9 after a prompt of 3"):
        generator(PROMPT, 10)
    with pytest.raises(ValueError, match=r"prompt must have shape \[batch, time\]"):
        generator(PROMPT[0], 2)
    with pytest.raises(ValueError, match="temperature must be 0 or more"):
        L.Generator(model, 12, temperature=-1.0)
