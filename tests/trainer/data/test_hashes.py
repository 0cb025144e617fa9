"""Hashes of arrays: what changes them, and how much is read."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from trainer.data import hashes
from trainer.data.convert import spec_of


def read_log(array, log):
    def rows(leaf, start, stop):
        log.append((start, stop))
        return array[start:stop]

    return rows


def test_all_of_small_arrays_is_read_and_any_change_seen():
    array = np.arange(60, dtype=np.float32).reshape(20, 3)
    log = []
    [found] = hashes.of_rows(spec_of(array), 20, read_log(array, log))
    assert log == [(0, 20)]
    for at in range(20):
        changed = array.copy()
        changed[at, 1] += 1
        assert hashes.of_rows(spec_of(array), 20, read_log(changed, [])) != [found]


@pytest.mark.parametrize("row_bytes", [1, 1000, 300_000, 20 << 20])
def test_of_large_arrays_evenly_spread_blocks_are_read_with_both_ends(row_bytes):
    n = (64 << 20) // row_bytes + 1
    log = []

    def rows(leaf, start, stop):
        log.append((start, stop))
        return np.zeros(stop - start, np.uint8)

    hashes.of_rows(tf.TensorSpec([None, row_bytes], tf.uint8), n, rows)
    size = sum(stop - start for start, stop in log) * row_bytes
    assert (log[0][0], log[-1][1]) == (0, n)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(log))
    assert size <= max(hashes.READ_BYTES, 2 * row_bytes)
    assert size >= hashes.READ_BYTES // 3 or len(log) == 2
    gaps = {b[0] - a[0] for a, b in itertools.pairwise(log)}
    assert max(gaps) - min(gaps) <= 1


def test_labels_beside_large_arrays_are_read_whole():
    n = 400_000
    log = {0: 0, 1: 0}

    def rows(leaf, start, stop):
        log[leaf] += stop - start
        return np.zeros([stop - start], np.int64)

    spec = tf.TensorSpec([None, 1000], tf.uint8), tf.TensorSpec([None], tf.int64)
    hashes.of_rows(spec, n, rows)
    assert log[1] == n
    assert 0.9 * (hashes.READ_BYTES - 8 * n) < 1000 * log[0] <= hashes.READ_BYTES - 8 * n


def test_a_hash_knows_dtypes_shapes_and_where_strings_end():
    zeros = np.zeros((2, 2), np.float32)
    others = [
        [zeros],
        [zeros.reshape(4)],
        [zeros.view(np.int32)],
        [zeros, zeros],
        [np.array(["ab", "c"])],
        [np.array(["a", "bc"])],
        [np.array(["ab", "c"]).reshape(1, 2)],
    ]
    assert len({hashes.of_arrays(arrays) for arrays in others}) == len(others)
    words = np.array(["ab", "ü"])
    as_bytes = np.array([word.encode() for word in words], object)
    assert hashes.of_arrays([words]) == hashes.of_arrays([as_bytes])
    assert hashes.of_arrays([zeros[::-1].T]) == hashes.of_arrays([zeros])
    assert hashes.of_bytes(b"ab") != hashes.of_bytes(b"ac")
    assert hashes.short(b"ab") != hashes.short(b"ac")
    assert len(hashes.short(b"ab")) == 12
