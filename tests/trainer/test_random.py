"""Seeds: pure functions of (seed, step, part, call), and distinct where they must differ."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.random import Seeds, fold, handed, permutation


def test_permutation_is_a_function_of_seed_and_epoch():
    first = permutation(3, 7, 1000)
    np.testing.assert_array_equal(first, permutation(3, 7, 1000))
    np.testing.assert_array_equal(np.sort(first), np.arange(1000))
    assert first.dtype == np.int32
    assert not np.array_equal(first, permutation(3, 8, 1000))
    assert not np.array_equal(first, permutation(4, 7, 1000))


def test_folded_seeds_do_not_collide():
    """10,000 (seed, call) pairs give 10,000 int32 words, bar the one collision chance allows."""
    words = {fold(seed, call) for seed in range(100) for call in range(100)}
    assert len(words) >= 9_999
    assert all(-(2**31) <= w < 2**31 for w in words)


def _draws(seed, step, parts=0, calls=2):
    seeds = Seeds(seed, step)
    drawn = []
    for part in range(parts):
        with seeds.part(part):
            drawn += [tuple(seeds.next().numpy()) for _ in range(calls)]
    if parts:
        seeds.parts_done()
    return drawn + [tuple(seeds.next().numpy()) for _ in range(calls)]


def test_each_call_part_and_step_draws_its_own_and_the_same_again():
    every = [d for step in range(3) for d in _draws(5, step, parts=3)]
    assert len(set(every)) == len(every)
    assert every == [d for step in range(3) for d in _draws(5, step, parts=3)]


def test_part_zero_draws_what_a_whole_batch_draws():
    assert _draws(5, 1, parts=2)[:2] == _draws(5, 1)[:2]


def test_traced_parts_draw_what_untraced_ones_do():
    """The part's index may be a tensor of a loop: the words are the same."""

    @tf.function(autograph=False)
    def traced(step, part):
        seeds = Seeds(5, step)
        with seeds.part(part):
            return seeds.next()

    seeds = Seeds(5, 4)
    with seeds.part(2):
        expected = seeds.next()
    np.testing.assert_array_equal(traced(tf.constant(4, tf.int64), tf.constant(2)), expected)


def test_a_source_is_handed_for_a_while_only():
    class Random(tf.Module):
        seed_source = None

    module, plain = Random(), tf.Module()
    with pytest.raises(RuntimeError, match="inside"), handed([module, plain], lambda: 1):
        assert module.seed_source() == 1
        assert not hasattr(plain, "seed_source")
        raise RuntimeError("inside")
    assert module.seed_source is None


def test_a_second_look_draws_the_same_and_then_goes_on():
    seeds = Seeds(5, 3)
    seeds.next()
    mark = seeds.mark()

    def look():
        with seeds.part(0):
            first = [seeds.next().numpy(), seeds.next().numpy()]
        with seeds.part(1):
            second = [seeds.next().numpy()]
        seeds.parts_done()
        return np.stack(first + second)

    once = look()
    seeds.rewind(mark)
    np.testing.assert_array_equal(look(), once)
    assert not any((seeds.next().numpy() == row).all() for row in once)
