"""From user's values to arrays and tensors: what becomes what, without needless copies."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from trainer.data import convert

Pair = collections.namedtuple("Pair", "a b")


class Frame:
    """Like a data frame: no array itself, but `to_numpy()`."""

    def to_numpy(self):
        return np.ones((3, 2))


class Foreign:
    """Like a tensor of another library."""

    def __array__(self, dtype=None, copy=None):
        return np.arange(3)


class Sparse:
    shape, nnz = (3, 4), 2

    def toarray(self):
        raise AssertionError("never made dense behind the user's back")


def test_nests_keep_their_structure_and_arrays_are_not_copied():
    x = np.ones((3, 2))
    tree = {"l": [[1, 2], [3, 4]], "p": Pair(x, (x, [x, x])), "f": Frame(), "t": Foreign()}
    out = convert.to_arrays(tree, "x")
    assert out["p"].a is x
    assert isinstance(out["p"], Pair)
    assert out["p"].b[1][0] is x
    np.testing.assert_array_equal(out["l"], [[1, 2], [3, 4]])
    assert out["f"].shape == (3, 2)
    assert out["t"].tolist() == [0, 1, 2]


def test_names_stand_in_the_order_of_flatten():
    tree = {"b": (1, {"z": 2, "a": 3}), "a": [4]}
    names = convert.names_of(tree, "x")
    assert dict(zip(names, tf.nest.flatten(tree), strict=True)) == {
        "x['a'][0]": 4,
        "x['b'][0]": 1,
        "x['b'][1]['a']": 3,
        "x['b'][1]['z']": 2,
    }


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (tf.sparse.from_dense([[1]]), TypeError, r"SparseTensor.*tf.sparse.to_dense\(x\)"),
        (tf.ragged.constant([[1], [1, 2]]), TypeError, r"RaggedTensor.*x.to_tensor\(\)"),
        (Sparse(), TypeError, r"sparse Sparse of shape \(3, 4\).*toarray"),
        (np.array([1, None, "a"]), TypeError, "dtype object and holds None.*astype"),
        (np.array(["2020-01-01"], "datetime64[D]"), TypeError, r"dtype datetime64\[D\]"),
        ([[1], [1, 2]], ValueError, "lists of different lengths.*Pad"),
        (None, TypeError, "x is a NoneType"),
        (object(), TypeError, "x is a object; arrays"),
    ],
)
def test_what_is_no_array_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        convert.to_arrays(value, "x")


def test_float64_becomes_float32_and_nothing_else_changes():
    kinds = [
        "float16",
        "float32",
        "int8",
        "uint8",
        "int32",
        "int64",
        "uint64",
        "bool",
        "complex64",
        "complex128",
    ]
    for kind in kinds:
        assert convert.final_dtype(np.ones(2, kind)).name == kind
        placed = convert.place(np.ones((2, 2), kind))
        np.testing.assert_array_equal(placed, np.ones((2, 2), kind))
        assert placed.dtype.name == kind
    assert convert.final_dtype(np.ones(2)) == tf.float32
    assert convert.place(tf.ones([2], tf.float64)).dtype == tf.float32
    assert convert.final_dtype(np.array(["a"])) == tf.string
    assert convert.place(np.array([["é", "b"]])).numpy().tolist() == [["é".encode(), b"b"]]
    assert convert.spec_of(np.ones((5, 3))) == tf.TensorSpec([None, 3], tf.float32)


def test_bytes_count_what_is_added_to_the_device():
    assert convert.final_bytes(np.ones((4, 2))) == 32
    assert convert.final_bytes(tf.ones([4, 2])) == 0
    assert convert.final_bytes(tf.ones([4, 2], tf.float64)) == 32
    assert convert.final_bytes(np.array(["abc"] * 4)) == 128


@pytest.mark.parametrize("shape", [(0, 3), (5,), (7, 3, 2)])
def test_handed_over_buffers_are_aligned_and_equal(shape):
    for kind in (np.float32, np.uint8, bool, np.int64, np.complex64, tf.bfloat16.as_numpy_dtype):
        owned = convert.aligned_empty(shape, np.dtype(kind))
        owned[...] = 1
        assert owned.ctypes.data % 64 == 0 or not owned.size
        np.testing.assert_array_equal(convert.as_tensor(owned), np.ones(shape, kind))
